//! What a target lets dbdyno see and do, and what is missing.

use comfy_table::{ContentArrangement, Table, TableStyle};
use serde::Serialize;

use crate::live::Plain;
use crate::probe::capabilities::{self, Capability, Presence};
use crate::study::{OpenTarget, StudyError};

use super::args::DoctorArguments;
use super::{CommandError, code, output, plan};

/// The findings as JSON.
#[derive(Serialize)]
struct Findings<'a> {
    target: String,
    capabilities: &'a [Capability],
}

pub(super) async fn doctor(arguments: &DoctorArguments) -> Result<u8, CommandError> {
    let choice = plan::target(&arguments.target)?;
    let mut live = Plain::new(arguments.json);
    let target = OpenTarget::open(&choice, &mut |what| live.tell(&what)).await?;
    live.finish();
    let address = target.target.address();
    let found = capabilities::examine(&target.control, &target.target).await;
    target.close().await?;
    let found = found.map_err(StudyError::examining)?;
    if arguments.json {
        output::print(&output::pretty(&Findings { target: address, capabilities: &found }))?;
    } else {
        output::print(&page(&address, &found))?;
    }
    Ok(code::OK)
}

fn page(address: &str, found: &[Capability]) -> String {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new())
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(u16::try_from(output::width_of_page()).unwrap_or(80))
        .set_header(["", "what", "found"]);
    for capability in found {
        table.add_row([mark(capability.ok), &capability.id, &capability.found]);
    }
    let mut text = format!("{address}\n\n{table}\n");
    let missing: Vec<_> = found.iter().filter(|capability| capability.ok != Presence::Present).collect();
    if missing.is_empty() {
        text += "\nNothing is missing: every part of a report can be filled.\n";
    }
    for capability in missing {
        const INDENT: &str = "          ";
        let costs = crate::report::wrap(&capability.costs, output::width_of_page() - INDENT.len());
        text += &format!("\n{}\n  costs:  {}\n", capability.id, costs.join(&format!("\n{INDENT}")));
        if let Some(remedy) = &capability.remedy {
            // Each command on a line of its own, so that it can be pasted whole.
            let commands: Vec<&str> = remedy.split_inclusive("; ").map(str::trim_end).collect();
            text += &format!("  remedy: {}\n", commands.join(&format!("\n{INDENT}")));
        }
    }
    text
}

fn mark(presence: Presence) -> &'static str {
    match presence {
        Presence::Present => "ok",
        Presence::Absent => "--",
        Presence::Unknown => "??",
    }
}
