//! What rcl says when it refuses.

use std::ffi::CStr;

use r2r_rcl::{RCL_RET_OK, rcl_ret_t, rcutils_get_error_string, rcutils_reset_error};

/// An rcl call that failed: which one, its return code and rcl's own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operation}: {message} (rcl code {code})")]
pub struct Error {
    /// What was tried, in the words of the caller.
    pub operation: &'static str,
    /// The return code, as in `rcl/types.h`.
    pub code: i32,
    /// rcl's error message without its file and line.
    pub message: String,
}

impl Error {
    pub(crate) fn new(operation: &'static str, code: rcl_ret_t, message: impl Into<String>) -> Self {
        Self { operation, code, message: message.into() }
    }
}

/// Turns a return code into a result and clears the thread's error state, which the next failing call would complain
/// of overwriting.
pub(crate) fn check(code: rcl_ret_t, operation: &'static str) -> Result<(), Error> {
    if code == RCL_RET_OK as rcl_ret_t {
        return Ok(());
    }
    Err(Error::new(operation, code, take_message()))
}

fn take_message() -> String {
    // SAFETY: both functions only touch this thread's error state; the returned struct is a copy whose `str_` is a
    // NUL-terminated array inside it.
    let text = unsafe {
        let error = rcutils_get_error_string();
        let text = CStr::from_ptr(error.str_.as_ptr()).to_string_lossy().into_owned();
        rcutils_reset_error();
        text
    };
    without_places(&text).to_owned()
}

/// rcl appends `, at FILE:LINE` once per function that the error came through.
fn without_places(text: &str) -> &str {
    match text.rsplit_once(", at ") {
        Some((message, place)) if place.rsplit_once(':').is_some_and(|(_, line)| line.parse::<u32>().is_ok()) => {
            without_places(message)
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::without_places;

    #[test]
    fn the_places_are_taken_off_and_nothing_else() {
        for (text, expected) in [
            ("no such topic", "no such topic"),
            ("no such topic, at /src/a.c:12", "no such topic"),
            ("no such topic, at ./a.c:12, at /src/b.c:7", "no such topic"),
            ("the name, at most 255 bytes", "the name, at most 255 bytes"),
        ] {
            assert_eq!(without_places(text), expected);
        }
    }
}
