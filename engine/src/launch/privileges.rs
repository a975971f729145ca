//! What the program may do while it serves: less than while it opened its ports.

use super::args::CommonArgs;
use super::error::Error;
use super::say;
use crate::port::PortControl;
use crate::sys::{CapabilitySet, give_up, refuse_calls};

/// Puts the program's capabilities in effect, and checks that it can become the user that
/// `--user` names.
pub(super) fn prepare(args: &CommonArgs) -> Result<(), Error> {
    // Where that fails, what then lacks a right says so itself.
    let _ = CapabilitySet::put_in_effect();
    let Some(user) = &args.user else { return Ok(()) };
    let own = CapabilitySet::effective().map_err(Error::system("the capabilities of this process"))?;
    if own.has(CapabilitySet::SET_USER) { Ok(()) } else { Err(Error::CannotBecome(user.name().to_owned())) }
}

/// What open ports go on to need.
pub(super) fn needs(controls: &[Box<dyn PortControl>]) -> CapabilitySet {
    controls.iter().fold(CapabilitySet::NONE, |sum, control| sum | control.keeps())
}

/// Gives up, in every thread, all that the open ports don't `need`, and says so.
pub(super) fn give_up_all_but(needs: CapabilitySet, args: &CommonArgs) -> Result<(), Error> {
    if args.keep_privileges {
        say("privileges: kept as they were, and no system call is refused");
        return Ok(());
    }
    let kept = give_up(args.user.as_ref(), needs)?;
    let calls = match (!args.no_seccomp).then(|| refuse_calls(kept)) {
        Some(Ok(calls)) => format!("{calls} system calls refused"),
        Some(Err(error)) => format!("no system call is refused ({error})"),
        None => "no system call is refused".to_owned(),
    };
    let user = args.user.as_ref().map(|user| format!("user {} ({}), ", user.name(), user.uid()));
    say(format_args!("privileges: {}{kept}, {calls}", user.unwrap_or_default()));
    Ok(())
}
