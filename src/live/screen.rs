//! The live view on a terminal: a thread of its own draws what is known and listens to keys, a few times a second. Whatever
//! happens, the terminal is given back as it was.

use std::io::{self, IsTerminal as _, Stderr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use rustix::process::{Signal, getpid, kill_process};

use super::draw::{View, draw};
use super::snapshot::Snapshot;
use crate::study::Wishes;

/// A key is heard within this time.
const LISTEN: Duration = Duration::from_millis(250);
/// Between two pictures: seconds come one by one.
const DRAW_EVERY: Duration = Duration::from_millis(500);

/// Whether there is a terminal to draw on and to listen to.
pub(super) fn is_possible() -> bool {
    io::stderr().is_terminal() && io::stdin().is_terminal()
}

/// The screen while it is drawn; it goes with this.
pub(super) struct Screen {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Screen {
    /// Takes the terminal. The study must catch the interrupt signal by now: it is how the user's wish to stop is handed on.
    pub(super) fn open(snapshot: Arc<Mutex<Snapshot>>, wishes: Wishes) -> io::Result<Self> {
        let taken = Taken::take()?;
        let ends = Arc::new(AtomicBool::new(false));
        let keeper =
            Keeper { snapshot, wishes, ends: Arc::clone(&ends), paused: false, shown: Snapshot::default() };
        let thread = std::thread::Builder::new().name("screen".to_owned()).spawn(move || {
            let mut taken = taken;
            // A terminal that went away is no reason to end a measurement.
            let _ = keeper.keep(&mut taken.terminal);
        })?;
        Ok(Self { ends, thread: Some(thread) })
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic was told already, and the terminal is given back by its end.
            let _ = thread.join();
        }
    }
}

/// The terminal in the hands of the screen.
struct Taken {
    terminal: Terminal<CrosstermBackend<Stderr>>,
}

impl Taken {
    fn take() -> io::Result<Self> {
        give_back_on_panic();
        enable_raw_mode()?;
        let entered = execute!(io::stderr(), EnterAlternateScreen)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stderr())));
        match entered {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// As it was: with an echo, with lines, with a cursor, and with what stood there before. Harmless where it is that way.
fn give_back() {
    let _ = disable_raw_mode();
    let _ = execute!(io::stderr(), LeaveAlternateScreen, Show);
}

/// A panic on any thread is told on the terminal that the user knows.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            told(panic);
        }));
    });
}

/// What the thread of the screen knows.
struct Keeper {
    snapshot: Arc<Mutex<Snapshot>>,
    wishes: Wishes,
    ends: Arc<AtomicBool>,
    paused: bool,
    /// What is drawn: the last one while the view is paused.
    shown: Snapshot,
}

impl Keeper {
    fn keep(mut self, terminal: &mut Terminal<CrosstermBackend<Stderr>>) -> io::Result<()> {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let mut drawn_at: Option<Instant> = None;
        while !self.ends.load(Ordering::Relaxed) {
            let is_due = drawn_at.is_none_or(|at| at.elapsed() >= DRAW_EVERY);
            if is_due && (self.refresh() || drawn_at.is_none()) {
                terminal.draw(|frame| {
                    draw(frame, &View { snapshot: &self.shown, paused: self.paused, colour });
                })?;
                drawn_at = Some(Instant::now());
            }
            if event::poll(LISTEN)? {
                match event::read()? {
                    Event::Key(key) if key.kind == KeyEventKind::Press => self.pressed(key),
                    Event::Resize(..) => {}
                    _ => continue,
                }
                drawn_at = None;
            }
        }
        Ok(())
    }

    /// Takes what is new, unless the view is paused. Whether there was any.
    fn refresh(&mut self) -> bool {
        let snapshot = self.snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !self.paused && snapshot.version != self.shown.version;
        if is_new {
            self.shown = snapshot.clone();
        }
        is_new
    }

    fn pressed(&mut self, key: KeyEvent) {
        let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Char('n') => self.wishes.end_stage(),
            KeyCode::Char('q') => stop(),
            // In this mode the terminal makes no signal of it.
            KeyCode::Char('c') if is_control => stop(),
            _ => {}
        }
    }
}

/// The same as Ctrl-C: what is under way is waited for, then there is a report; a second time it is abandoned.
fn stop() {
    let _ = kill_process(getpid(), Signal::INT);
}
