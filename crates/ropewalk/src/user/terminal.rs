//! Asking at the terminal for what must not be seen.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
};

use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

/// Ctrl-C, as a character.
const INTERRUPT: u8 = 3;

/// The longest line that a terminal hands over.
const LINE: usize = 4096;

/// The terminal, whatever standard input and output are, which echoes nothing while this lives.
///
/// Ctrl-C and its kin raise no signals meanwhile: a process that dies of one leaves the terminal
/// without its echo. Ctrl-C ends the asking instead.
pub(super) struct Silent {
    terminal: File,
    before: Termios,
}

impl Silent {
    /// Opens the terminal, turns its echo off, and throws away what was typed before.
    pub(super) fn open() -> io::Result<Self> {
        let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent
            .local_flags
            .remove(LocalFlags::ECHO | LocalFlags::ISIG);
        silent.local_flags.insert(LocalFlags::ICANON);
        // It ends a line, so that it is heard at once.
        silent.control_chars[SpecialCharacterIndices::VEOL as usize] = INTERRUPT;
        tcsetattr(&terminal, SetArg::TCSAFLUSH, &silent)?;
        Ok(Self { terminal, before })
    }

    /// Asks for a line.
    ///
    /// # Errors
    /// [`io::ErrorKind::Interrupted`] for Ctrl-C.
    pub(super) fn ask(&mut self, prompt: &str) -> io::Result<Zeroizing<Vec<u8>>> {
        self.terminal.write_all(prompt.as_bytes())?;
        let mut line = Zeroizing::new(vec![0; LINE]);
        let n = self.terminal.read(&mut line)?;
        line.truncate(n);
        // Whoever types it sees no line end either.
        self.terminal.write_all(b"\n")?;
        match line.pop_if(|last| matches!(*last, b'\n' | INTERRUPT)) {
            Some(INTERRUPT) => Err(io::ErrorKind::Interrupted.into()),
            _ => Ok(line),
        }
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        // If it is gone, there is nothing to put back.
        let _ = tcsetattr(&self.terminal, SetArg::TCSAFLUSH, &self.before);
    }
}
