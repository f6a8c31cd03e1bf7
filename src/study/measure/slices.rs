//! What goes before a segment: the copy of the database that it is measured on, and of a slice its script, its indexes, its pause
//! and its restart.

use super::{Bench, Segment, Slice};
use crate::dataset;
use crate::record::entry::{EndReason, PreparedBy, PreparedStep};
use crate::study::{Happening, Observer, StudyError, between};
use crate::time::Now as _;
use crate::units::Span;

impl Bench<'_> {
    /// Measures one segment, on a copy of its own where the plan wants that. Whatever comes, the copy goes.
    pub(super) async fn measure_fresh(
        &mut self,
        segment: &Segment,
        notes: &mut Vec<String>,
        observer: &mut Observer<'_>,
    ) -> Result<(), StudyError> {
        let variant = segment.slice.as_ref().and_then(|slice| slice.variant);
        if let Some(place) = segment.slice.as_ref().and_then(|slice| slice.clone) {
            return self.measure_clone(place, segment, observer).await;
        }
        // Those that look at a copy that stays.
        if self.fresh.is_some() {
            self.stop_probes().await?;
        }
        let Some(mut fresh) = self.fresh.take() else {
            if variant != self.probed_variant {
                self.stop_probes().await?;
                self.start_probes(variant).await?;
            }
            return self.measure(segment, observer).await;
        };
        let measured = match fresh.enter(&mut self.target, self.interrupts.next(), observer).await {
            Ok(true) => match self.start_probes(variant).await {
                Ok(()) => self.measure(segment, observer).await,
                Err(error) => Err(error),
            },
            Ok(false) => {
                self.ended = EndReason::Interrupted;
                if self.stage.is_some() { Ok(()) } else { Err(StudyError::Interrupted) }
            }
            Err(error) => Err(error),
        };
        let stopped = self.stop_probes().await;
        if let Err(error) = fresh.discard(&mut self.target).await {
            notes.push(error.to_string());
            // Without it no further copy can be made either.
            if self.ended == EndReason::Completed && measured.is_ok() {
                return Err(error);
            }
        }
        self.fresh = Some(fresh);
        measured.and(stopped)
    }

    /// Measures one segment on the copy of its arm, which is made when it is needed first and stays until the end.
    async fn measure_clone(
        &mut self,
        place: usize,
        segment: &Segment,
        observer: &mut Observer<'_>,
    ) -> Result<(), StudyError> {
        self.stop_probes().await?;
        let Self { clones, target, interrupts, .. } = self;
        if !clones[place].enter_again(target, interrupts.next(), observer).await? {
            self.ended = EndReason::Interrupted;
            return if self.stage.is_some() { Ok(()) } else { Err(StudyError::Interrupted) };
        }
        self.start_probes(segment.slice.as_ref().and_then(|slice| slice.variant)).await?;
        self.measure(segment, observer).await
    }

    /// Drops the copies of the arms; what does not go is told.
    pub(super) async fn discard_clones(&mut self, notes: &mut Vec<String>) {
        for mut clone in std::mem::take(&mut self.clones) {
            if let Err(error) = clone.discard(&mut self.target).await {
                notes.push(error.to_string());
            }
        }
    }

    /// Restarts a throwaway server behind what goes before a slice.
    pub(super) async fn restart(
        &mut self,
        segment: &Segment,
        steps: &mut Vec<PreparedStep>,
        observer: &mut Observer<'_>,
    ) -> Result<(), StudyError> {
        observer(Happening::Step("restarting the throwaway server"));
        let from = self.clock.now();
        self.stop_probes().await?;
        self.target.restart(&[]).await?;
        self.start_probes(segment.slice.as_ref().and_then(|slice| slice.variant)).await?;
        steps.push(PreparedStep { what: PreparedBy::Restart, span: Span { from, to: self.clock.now() } });
        Ok(())
    }

    /// Does what goes before a slice. False when the user wants to stop.
    pub(super) async fn prepare(
        &mut self,
        slice: &Slice,
        steps: &mut Vec<PreparedStep>,
        observer: &mut Observer<'_>,
    ) -> Result<bool, StudyError> {
        let (control, clock, may_checkpoint) = (&self.target.control, self.clock, self.may_checkpoint);
        let preparing = async {
            let mut from = clock.now();
            let mut step = |what| {
                let span = Span { from, to: clock.now() };
                from = span.to;
                steps.push(PreparedStep { what, span });
            };
            if let Some(script) = &slice.script {
                observer(Happening::Step(&format!("running {}", script.path.display())));
                between::run_script(control, script).await?;
                step(PreparedBy::Script);
            }
            if let Some(arrangement) = &slice.indexes {
                observer(Happening::Step("arranging the indexes"));
                let arranged = dataset::index::arrange(control, arrangement).await?;
                arranged.map_err(StudyError::Refused)?;
                step(PreparedBy::Indexes);
            }
            observer(Happening::Step("letting the server settle"));
            between::settle(control, slice.settle).await?;
            step(PreparedBy::Settle);
            if !may_checkpoint {
                return Ok(Ok(()));
            }
            let made = dataset::checkpoint(control).await?;
            if made.is_ok() {
                step(PreparedBy::Checkpoint);
            }
            Ok::<_, StudyError>(made)
        };
        let checkpointed = tokio::select! {
            prepared = preparing => prepared?,
            () = self.interrupts.next() => return Ok(false),
        };
        if let Err(why) = checkpointed {
            self.may_checkpoint = false;
            observer(Happening::Note(why));
        }
        Ok(true)
    }
}
