//! Commands of our own on DPDK's telemetry socket, to be asked with `dpdk-telemetry.py`
//! (`rte_telemetry_register_cmd`).

use std::ffi::{CStr, CString, c_char, c_int};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Once, PoisonError, RwLock};

use dpdk_sys as sys;

/// What a command answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Names and values, 256 at most.
    Dict(Vec<(String, Value)>),
    /// Numbers, 512 at most.
    Numbers(Vec<u64>),
    /// Texts, 512 at most.
    Texts(Vec<String>),
}

/// A value of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Of 127 bytes at most.
    Text(String),
    /// Any.
    Number(u64),
}

/// Answers a command, given behind it the parameters, which may be empty. `None` where they mean nothing.
pub type Respondent = dyn Fn(&str, &str) -> Option<Answer> + Send + Sync;

/// Who answers now. DPDK keeps commands until the process ends, and calls without a pointer of ours.
static RESPONDENT: RwLock<Option<Arc<Respondent>>> = RwLock::new(None);

/// Commands are answered as long as this lives.
#[derive(Debug)]
pub struct Registered(());

impl Drop for Registered {
    fn drop(&mut self) {
        *RESPONDENT.write().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Has these commands, each with a sentence of help, answered from now on, on DPDK's own thread. The
/// commands of a process are those of the first call. One that DPDK refuses is named in the log.
pub fn register(commands: &[(&CStr, &CStr)], respondent: Arc<Respondent>) -> Registered {
    static ONCE: Once = Once::new();
    *RESPONDENT.write().unwrap_or_else(PoisonError::into_inner) = Some(respondent);
    ONCE.call_once(|| {
        for (command, help) in commands {
            // SAFETY: two zero-terminated texts, which DPDK copies, and a function that lives for ever.
            let error =
                unsafe { sys::rte_telemetry_register_cmd(command.as_ptr(), Some(respond), help.as_ptr()) };
            if error != 0 {
                let reason = super::error_text(error);
                tracing::warn!("DPDK's telemetry refused {}: {reason}", command.to_string_lossy());
            }
        }
    });
    Registered(())
}

/// Called by DPDK's telemetry thread. A negative number makes it answer `null`.
unsafe extern "C" fn respond(
    command: *const c_char,
    parameters: *const c_char,
    data: *mut sys::rte_tel_data,
) -> c_int {
    // SAFETY: DPDK passes zero-terminated texts, or a null pointer for no parameters.
    let (command, parameters) = unsafe { (text(command), text(parameters)) };
    let respondent = RESPONDENT.read().unwrap_or_else(PoisonError::into_inner).clone();
    let answer = || respondent.and_then(|respondent| respondent(&command, &parameters));
    // A panic must not unwind into DPDK.
    match catch_unwind(AssertUnwindSafe(answer)) {
        // SAFETY: DPDK passes the place for the answer.
        Ok(Some(answer)) => unsafe { fill(data, &answer) },
        _ => -libc::EINVAL,
    }
}

/// # Safety
/// A null pointer or a zero-terminated text.
unsafe fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(pointer) }.to_string_lossy().into_owned()
}

/// Writes an answer down. What is more than DPDK takes is left out.
///
/// # Safety
/// The place is one that DPDK passed to a command.
unsafe fn fill(data: *mut sys::rte_tel_data, answer: &Answer) -> c_int {
    // What has a zero byte in it can't be said in C.
    let c_text = |text: &str| CString::new(text).unwrap_or_default();
    // SAFETY: the caller's promise; texts are zero-terminated, and copied by DPDK.
    unsafe {
        match answer {
            Answer::Dict(entries) => {
                sys::rte_tel_data_start_dict(data);
                for (name, value) in entries {
                    let name = c_text(name);
                    match value {
                        Value::Number(number) => {
                            sys::shim_rte_tel_data_add_dict_uint(data, name.as_ptr(), *number)
                        }
                        Value::Text(text) => {
                            sys::rte_tel_data_add_dict_string(data, name.as_ptr(), c_text(text).as_ptr())
                        }
                    };
                }
            }
            Answer::Numbers(numbers) => {
                sys::shim_rte_tel_data_start_array_uint(data);
                numbers.iter().for_each(|number| _ = sys::shim_rte_tel_data_add_array_uint(data, *number));
            }
            Answer::Texts(texts) => {
                sys::shim_rte_tel_data_start_array_string(data);
                texts.iter().for_each(|text| {
                    _ = sys::rte_tel_data_add_array_string(data, c_text(text).as_ptr());
                });
            }
        }
    }
    0
}
