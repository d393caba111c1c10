//! The rcl context: one participant's worth of ROS, with the `--ros-args` it was started with.

use std::cell::UnsafeCell;
use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use r2r::ParameterValue;
use r2r_rcl::*;

use crate::Error;
use crate::error::check;

/// The severity that `--ros-args --log-level` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
}

/// The parameters of `--ros-args`, for one node.
#[derive(Debug, Default)]
pub struct ParameterOverrides {
    /// In the order in which ROS applies them: a later one wins.
    pub values: Vec<(String, ParameterValue)>,
    /// The nodes, as patterns, that other values are for.
    pub other_nodes: Vec<String>,
}

/// An initialised rcl context. Everything made from it keeps it alive; it is shut down when the last of them is gone.
pub struct Context {
    rcl: Box<UnsafeCell<rcl_context_t>>,
    /// Held while something is made or ended in the context, which rcl does not promise to be thread-safe.
    changes: Mutex<()>,
}

// SAFETY: a context is bound to no thread. The box never moves the struct that rcl points at.
unsafe impl Send for Context {}
// SAFETY: init and fini of the context happen in `new` and `drop` alone, when no second reference exists. Nodes are made
// and ended in it under `changes`, guard conditions and wait sets made; of the context's state in the middleware, which
// endpoints share, the middleware takes care by a lock of its own. What else gets the pointer reads what `new` has made.
unsafe impl Sync for Context {}

impl Context {
    /// Initialises rcl with the process's ROS arguments (`--ros-args …`; other arguments are ignored by rcl), in a
    /// domain, or in that of `ROS_DOMAIN_ID` where none is given.
    ///
    /// # Errors
    /// When an argument after `--ros-args` is not one that ROS knows, a parameter file cannot be read, or the
    /// middleware does not start.
    pub fn new(arguments: &[String], domain_id: Option<usize>) -> Result<Arc<Self>, Error> {
        let arguments: Vec<CString> =
            arguments.iter().map(|argument| c_string(argument, "read the arguments")).collect::<Result<_, _>>()?;
        let pointers: Vec<_> = arguments.iter().map(|argument| argument.as_ptr()).collect();
        // rcl wants no list where there are no arguments.
        let argv = if pointers.is_empty() { ptr::null() } else { pointers.as_ptr() };
        let starting = starting();
        let options = InitOptions::new(domain_id)?;
        // SAFETY: a zero-initialised context is what rcl_init asks for.
        let rcl = Box::new(UnsafeCell::new(unsafe { rcl_get_zero_initialized_context() }));
        let context = Self { rcl, changes: Mutex::new(()) };
        // SAFETY: `pointers` holds `arguments.len()` NUL-terminated strings that outlive the call, `options` is
        // initialised, and the context is zero-initialised and exclusively ours.
        let code = unsafe { rcl_init(pointers.len() as i32, argv, &options.0, context.as_ptr()) };
        // Before a context that was refused is dropped, which takes the lock again.
        drop(starting);
        check(code, "start ROS")?;
        context.refuse_unknown_arguments(&arguments)?;
        Ok(Arc::new(context))
    }

    /// rcl only collects what it does not understand after `--ros-args`.
    fn refuse_unknown_arguments(&self, arguments: &[CString]) -> Result<(), Error> {
        let operation = "read the ROS arguments";
        let mut indices = ptr::null_mut();
        // SAFETY: the context's arguments are initialised; rcl writes an owned array of as many indices as it counts,
        // or leaves null where it counts none. It is read and given back once.
        let unknown: Vec<usize> = unsafe {
            let parsed = &raw const (*self.as_ptr()).global_arguments;
            let allocator = rcutils_get_default_allocator();
            check(rcl_arguments_get_unparsed_ros(parsed, allocator, &mut indices), operation)?;
            if indices.is_null() {
                return Ok(());
            }
            let count = rcl_arguments_get_count_unparsed_ros(parsed).max(0) as usize;
            let unknown = std::slice::from_raw_parts(indices, count).iter().map(|index| *index as usize).collect();
            if let Some(deallocate) = allocator.deallocate {
                deallocate(indices.cast(), allocator.state);
            }
            unknown
        };
        let names: Vec<_> = unknown.iter().filter_map(|index| arguments.get(*index)?.to_str().ok()).collect();
        if names.is_empty() {
            return Ok(());
        }
        let message = format!("ROS does not know {}", names.join(" "));
        Err(Error::new(operation, RCL_RET_INVALID_ROS_ARGS as rcl_ret_t, message))
    }

    pub(crate) fn as_ptr(&self) -> *mut rcl_context_t {
        self.rcl.get()
    }

    /// To be held while something is made in the context.
    pub(crate) fn changing(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The domain's number.
    pub fn domain_id(&self) -> usize {
        let mut domain_id = 0;
        // SAFETY: the context is initialised.
        let code = unsafe { rcl_context_get_domain_id(self.as_ptr(), &mut domain_id) };
        check(code, "read the domain").map_or(0, |()| domain_id)
    }

    /// Parameter values given by `--params-file` and `-p name:=value` for the node of this fully qualified name.
    pub fn parameter_overrides(&self, node: &str) -> Result<ParameterOverrides, Error> {
        let mut params: *mut rcl_params_t = ptr::null_mut();
        // SAFETY: the context is initialised, its global arguments with it; the function writes either null or an
        // owned structure into `params`.
        let code =
            unsafe { rcl_arguments_get_param_overrides(&raw const (*self.as_ptr()).global_arguments, &mut params) };
        check(code, "read the parameter overrides")?;
        if params.is_null() {
            return Ok(ParameterOverrides::default());
        }
        // SAFETY: `params` is the valid structure that rcl just made; it is read and then given back once.
        unsafe {
            let overrides = overrides_for(&*params, node);
            rcl_yaml_node_struct_fini(params);
            Ok(overrides)
        }
    }

    /// The default severity of `--ros-args --log-level LEVEL`, where one was given.
    pub fn log_level(&self) -> Option<LogLevel> {
        let mut levels = rcl_log_levels_t {
            default_logger_level: rcutils_log_severity_unset(),
            logger_settings: ptr::null_mut(),
            num_logger_settings: 0,
            capacity_logger_settings: 0,
            // SAFETY: no preconditions.
            allocator: unsafe { rcutils_get_default_allocator() },
        };
        // SAFETY: the context's arguments are initialised; `levels` is an empty structure that the call fills.
        let code = unsafe { rcl_arguments_get_log_levels(&raw const (*self.as_ptr()).global_arguments, &mut levels) };
        check(code, "read the log level").ok()?;
        let level = levels.default_logger_level as u32;
        // SAFETY: filled by the call above and given back once.
        unsafe { rcl_log_levels_fini(&mut levels) };
        // The numbers of rcutils/logging.h: 10 debug, 20 info, 30 warn, 40 error, 50 fatal; 0 is unset.
        match level {
            10 => Some(LogLevel::Debug),
            20 => Some(LogLevel::Info),
            30 => Some(LogLevel::Warn),
            40 | 50 => Some(LogLevel::Error),
            _ => None,
        }
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let _starting = starting();
        let context = self.rcl.get_mut();
        // SAFETY: entities hold the context by `Arc`, so none is left. A context whose init failed is not valid and
        // needs no shutdown; fini takes both.
        unsafe {
            if rcl_context_is_valid(context) {
                let _ = check(rcl_shutdown(context), "shut ROS down");
            }
            let _ = check(rcl_context_fini(context), "end the ROS context");
        }
    }
}

/// To be held while ROS starts or ends and while the middleware's library is loaded, which happens with the first call
/// into it: all of that writes to globals of the process (logging, the loaded library) without a lock.
pub(crate) fn starting() -> MutexGuard<'static, ()> {
    static STARTING: Mutex<()> = Mutex::new(());
    STARTING.lock().unwrap_or_else(PoisonError::into_inner)
}

struct InitOptions(rcl_init_options_t);

impl InitOptions {
    fn new(domain_id: Option<usize>) -> Result<Self, Error> {
        // SAFETY: zero-initialised options are what the init function asks for; the default allocator is static.
        unsafe {
            let mut options = Self(rcl_get_zero_initialized_init_options());
            check(rcl_init_options_init(&mut options.0, rcutils_get_default_allocator()), "prepare ROS")?;
            if let Some(domain_id) = domain_id {
                check(rcl_init_options_set_domain_id(&mut options.0, domain_id), "choose the ROS domain")?;
            }
            Ok(options)
        }
    }
}

impl Drop for InitOptions {
    fn drop(&mut self) {
        // SAFETY: initialised by `new`, given back once; rcl_init has made its own copy. A null impl is refused.
        let _ = check(unsafe { rcl_init_options_fini(&mut self.0) }, "end the ROS options");
    }
}

pub(crate) fn c_string(text: &str, operation: &'static str) -> Result<CString, Error> {
    CString::new(text).map_err(|_| {
        Error::new(operation, RCL_RET_INVALID_ARGUMENT as rcl_ret_t, format!("{text:?} contains a NUL byte"))
    })
}

/// Copies a string that rcl made with the default allocator, and gives it back.
///
/// # Safety
/// `text` must be such a string, and nobody may use it afterwards.
pub(crate) unsafe fn take_string(text: *mut c_char) -> String {
    // SAFETY: as the caller promises; the default allocator's state is static.
    unsafe {
        let copy = CStr::from_ptr(text).to_string_lossy().into_owned();
        let allocator = rcutils_get_default_allocator();
        if let Some(deallocate) = allocator.deallocate {
            deallocate(text.cast(), allocator.state);
        }
        copy
    }
}

fn rcutils_log_severity_unset() -> rcl_log_severity_t {
    RCUTILS_LOG_SEVERITY::RCUTILS_LOG_SEVERITY_UNSET
}

/// # Safety
/// `params` must be a structure made by rcl.
unsafe fn overrides_for(params: &rcl_params_t, node: &str) -> ParameterOverrides {
    let mut overrides = ParameterOverrides::default();
    for index in 0..params.num_nodes {
        // SAFETY: rcl keeps `num_nodes` names and as many parameter lists, each with `num_params` names and values.
        unsafe {
            let pattern = CStr::from_ptr(*params.node_names.add(index)).to_string_lossy();
            if !node_matches(&pattern, node) {
                overrides.other_nodes.push(pattern.into_owned());
                continue;
            }
            let list = &*params.params.add(index);
            for parameter in 0..list.num_params {
                let name = CStr::from_ptr(*list.parameter_names.add(parameter)).to_string_lossy().into_owned();
                overrides.values.push((name, value_of(&*list.parameter_values.add(parameter))));
            }
        }
    }
    overrides
}

/// # Safety
/// `variant` must come from rcl: at most one pointer is set, and arrays have `size` values.
unsafe fn value_of(variant: &rcl_variant_t) -> ParameterValue {
    macro_rules! array {
        ($pointer:expr) => {{
            let array = &*$pointer;
            if array.values.is_null() { &[][..] } else { std::slice::from_raw_parts(array.values, array.size) }.to_vec()
        }};
    }
    // SAFETY: each pointer is checked for null before it is followed; what it points at is as rcl documents it.
    unsafe {
        if !variant.bool_value.is_null() {
            ParameterValue::Bool(*variant.bool_value)
        } else if !variant.integer_value.is_null() {
            ParameterValue::Integer(*variant.integer_value)
        } else if !variant.double_value.is_null() {
            ParameterValue::Double(*variant.double_value)
        } else if !variant.string_value.is_null() {
            ParameterValue::String(CStr::from_ptr(variant.string_value).to_string_lossy().into_owned())
        } else if !variant.byte_array_value.is_null() {
            ParameterValue::ByteArray(array!(variant.byte_array_value))
        } else if !variant.bool_array_value.is_null() {
            ParameterValue::BoolArray(array!(variant.bool_array_value))
        } else if !variant.integer_array_value.is_null() {
            ParameterValue::IntegerArray(array!(variant.integer_array_value))
        } else if !variant.double_array_value.is_null() {
            ParameterValue::DoubleArray(array!(variant.double_array_value))
        } else if !variant.string_array_value.is_null() {
            let array = &*variant.string_array_value;
            let texts = (0..array.size).map(|i| CStr::from_ptr(*array.data.add(i)).to_string_lossy().into_owned());
            ParameterValue::StringArray(texts.collect())
        } else {
            ParameterValue::NotSet
        }
    }
}

/// Whether a node name of a parameter file means this node: `/ns/name` exactly, `*` for one token, `**` for any number
/// of them (<https://design.ros2.org/articles/160_ros_command_line_arguments.html>).
fn node_matches(pattern: &str, node: &str) -> bool {
    fn tokens_match(pattern: &[&str], node: &[&str]) -> bool {
        match (pattern.split_first(), node.split_first()) {
            (None, None) => true,
            (Some((&"**", rest)), _) => (0..=node.len()).any(|skipped| tokens_match(rest, &node[skipped..])),
            (Some((&token, pattern)), Some((&name, node))) => {
                (token == "*" || token == name) && tokens_match(pattern, node)
            }
            _ => false,
        }
    }
    let tokens = |name: &str| -> Vec<String> { name.split('/').filter(|t| !t.is_empty()).map(str::to_owned).collect() };
    let (pattern, node) = (tokens(pattern), tokens(node));
    let pattern: Vec<&str> = pattern.iter().map(String::as_str).collect();
    let node: Vec<&str> = node.iter().map(String::as_str).collect();
    tokens_match(&pattern, &node)
}

#[cfg(test)]
mod tests {
    use super::node_matches;

    #[test]
    fn parameter_file_names_match_nodes_as_ros_matches_them() {
        for (pattern, node, expected) in [
            ("/exporter", "/exporter", true),
            ("exporter", "/exporter", true),
            ("/exporter", "/robot/exporter", false),
            ("/robot/exporter", "/robot/exporter", true),
            ("/**", "/robot/arm/exporter", true),
            ("/**", "/exporter", true),
            ("/**/exporter", "/robot/exporter", true),
            ("/**/exporter", "/exporter", true),
            ("/**/exporter", "/robot/other", false),
            ("/*", "/exporter", true),
            ("/*", "/robot/exporter", false),
            ("/*/exporter", "/robot/exporter", true),
        ] {
            assert_eq!(node_matches(pattern, node), expected, "{pattern} against {node}");
        }
    }
}
