//! `volley man`: manual pages from the definitions of the command line.

use super::Stop;
use super::args::Man;
use super::console::Console;
use super::files;
use crate::base::text::escape_os;
use clap::Command;
use std::io;

/// Writes a page for the program and one for each command: into a directory, or to standard output.
///
/// # Errors
/// A page cannot be written.
pub fn run(order: &Man, definitions: Command) -> Result<(), Stop> {
    let console = Console::plain();
    let pages = pages(definitions).expect("memory takes everything");
    let Some(directory) = &order.directory else {
        let mut pages = pages.iter().map(|(_, page)| console.print(page.trim_end()));
        return Ok(pages.try_for_each(|printed| printed)?);
    };
    for (name, page) in pages {
        let path = directory.join(name);
        files::write(&path, page.as_bytes())?;
        console.tell(&format!("wrote {}", escape_os(&path)));
    }
    Ok(())
}

/// File names and contents.
fn pages(definitions: Command) -> io::Result<Vec<(String, String)>> {
    // Every command has a page of its own; one for `help` would say nothing.
    let mut program = definitions.disable_help_subcommand(true);
    program.build();
    let commands: Vec<Command> = program.get_subcommands().cloned().collect();
    std::iter::once(program).chain(commands).map(page).collect()
}

fn page(command: Command) -> io::Result<(String, String)> {
    let man = clap_mangen::Man::new(command).source(concat!("volley ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render(&mut page)?;
    let page = String::from_utf8_lossy(&page);
    // What stands below the help has no name there, and its lines are to stay lines.
    let page =
        page.replace(".SH EXTRA", ".SH NOTES\n.nf").replace(".SH VERSION", ".fi\n.SH VERSION");
    Ok((man.get_filename(), page))
}
