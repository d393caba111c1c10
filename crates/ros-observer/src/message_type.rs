//! The type of a topic's messages: one that is compiled in, or any that is installed, found by its name.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use libloading::Library;
use r2r::WrappedTypesupport;
use r2r_rcl::*;

use crate::Error;

/// What subscribing takes to know of a message type. Cheap to copy.
#[derive(Clone, Copy)]
pub struct MessageType {
    support: *const rosidl_message_type_support_t,
}

// SAFETY: a type support is a constant of a library that is never unloaded; nothing writes to it.
unsafe impl Send for MessageType {}
// SAFETY: as above.
unsafe impl Sync for MessageType {}

const MESSAGE: u8 =
    rosidl_typesupport_introspection_c_field_types::rosidl_typesupport_introspection_c__ROS_TYPE_MESSAGE as u8;

/// The support of a service's type, by its name, for example `std_srvs/srv/SetBool`.
///
/// # Errors
/// When the name is none, or no prefix of `AMENT_PREFIX_PATH` has the package or the package has not the type.
pub(crate) fn service_support(name: &str) -> Result<*const rosidl_service_type_support_t, Error> {
    match Name::parse(name)? {
        name if name.kind == "srv" => name.constant("rosidl_typesupport_c", "service"),
        _ => Err(failed(format!("{name:?} is no service type"))),
    }
}

/// A name as in `sensor_msgs/msg/JointState`, checked: it becomes part of a file's name and comes from other nodes.
struct Name<'a> {
    package: &'a str,
    /// `msg`, or `srv` or `action` for the messages that those are made of.
    kind: &'a str,
    message: &'a str,
}

/// The libraries that are loaded, each once and for good, so that what they hand out stays. Locked also while they are
/// asked for a type, which they complete on first use without a lock of their own.
static LIBRARIES: Mutex<BTreeMap<PathBuf, &'static Library>> = Mutex::new(BTreeMap::new());

impl MessageType {
    /// A type that is compiled in.
    pub fn of<T: WrappedTypesupport>() -> Self {
        Self { support: T::get_ts() }
    }

    /// A type whose package is installed, by its name, for example `sensor_msgs/msg/JointState`.
    ///
    /// # Errors
    /// When the name is none, or no prefix of `AMENT_PREFIX_PATH` has the package or the package has not the type.
    pub fn find(name: &str) -> Result<Self, Error> {
        let name = Name::parse(name)?;
        Ok(Self { support: name.support("rosidl_typesupport_c")? })
    }

    /// Whether messages of the type of this name begin with the time that they were made, by the type's introspection: a
    /// `builtin_interfaces/msg/Time`, or a `std_msgs/msg/Header`, which begins with one.
    ///
    /// # Errors
    /// As for [`MessageType::find`], or when the package was built without introspection.
    pub fn begins_with_stamp(name: &str) -> Result<bool, Error> {
        // SAFETY: rosidl has generated the members.
        let first = unsafe { first_member(Self::members(name)?) };
        Ok(first.filter(|member| member.type_id_ == MESSAGE && !member.is_array_).is_some_and(|member| {
            // SAFETY: a member of type message has the support of its type, of the same kind.
            let (namespace, name) = unsafe {
                let members: &rosidl_typesupport_introspection_c__MessageMembers = &*(*member.members_).data.cast();
                (CStr::from_ptr(members.message_namespace_), CStr::from_ptr(members.message_name_))
            };
            [(c"std_msgs__msg", c"Header"), (c"builtin_interfaces__msg", c"Time")].contains(&(namespace, name))
        }))
    }

    /// What the type's introspection tells of it.
    ///
    /// # Errors
    /// As for [`MessageType::begins_with_stamp`].
    pub(crate) fn members(name: &str) -> Result<&'static rosidl_typesupport_introspection_c__MessageMembers, Error> {
        let support = Name::parse(name)?.support("rosidl_typesupport_introspection_c")?;
        // SAFETY: the support of this kind has `MessageMembers` as its data (rosidl_typesupport_introspection_c,
        // message_introspection.h), constants of a library that is never unloaded.
        Ok(unsafe { &*(*support).data.cast() })
    }

    pub(crate) fn as_ptr(self) -> *const rosidl_message_type_support_t {
        self.support
    }
}

/// # Safety
/// `members` must be as rosidl generates it.
unsafe fn first_member(
    members: &rosidl_typesupport_introspection_c__MessageMembers,
) -> Option<&rosidl_typesupport_introspection_c__MessageMember> {
    // SAFETY: there are `member_count_` members.
    (members.member_count_ > 0).then(|| unsafe { &*members.members_ })
}

impl<'a> Name<'a> {
    fn parse(name: &'a str) -> Result<Self, Error> {
        let is_identifier = |text: &str| {
            text.starts_with(|first: char| first.is_ascii_alphabetic())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        match name.split('/').collect::<Vec<_>>()[..] {
            [package, kind @ ("msg" | "srv" | "action"), message]
                if is_identifier(package) && is_identifier(message) =>
            {
                Ok(Self { package, kind, message })
            }
            _ => Err(failed(format!("{name:?} is no message type"))),
        }
    }

    /// The type's support from the package's library for one way of supporting types.
    fn support(&self, typesupport: &str) -> Result<*const rosidl_message_type_support_t, Error> {
        self.constant(typesupport, "message")
    }

    /// `T` must be the support that rosidl has for this `interface`: `message` or `service`.
    fn constant<T>(&self, typesupport: &str, interface: &str) -> Result<*const T, Error> {
        let Self { package, kind, message } = self;
        let file = format!("lib{package}__{typesupport}.so");
        let path = installed(&file).ok_or_else(|| failed(format!(
            "{file} is in no prefix of AMENT_PREFIX_PATH: install {package}, or source its workspace, before this starts"
        )))?;
        let symbol = format!("{typesupport}__get_{interface}_type_support_handle__{package}__{kind}__{message}");
        let mut libraries = LIBRARIES.lock().unwrap_or_else(PoisonError::into_inner);
        let library = match libraries.entry(path) {
            Entry::Occupied(loaded) => *loaded.get(),
            Entry::Vacant(missing) => {
                let library = load(missing.key())?;
                missing.insert(library)
            }
        };
        // SAFETY: rosidl generates a function of this signature for every message and every service under this name.
        let get_support = unsafe { library.get::<unsafe extern "C" fn() -> *const T>(symbol.as_bytes()) };
        let get_support = get_support.map_err(|_| failed(format!("{file} has no {message}")))?;
        // SAFETY: the function has no preconditions but that it is not called twice at a time, of which the lock takes care; it
        // returns a constant.
        Ok(unsafe { get_support() })
    }
}

fn failed(reason: String) -> Error {
    Error::new("find a message type", RCL_RET_ERROR as rcl_ret_t, reason)
}

fn load(path: &Path) -> Result<&'static Library, Error> {
    // SAFETY: a library that rosidl has generated, of the ROS installation that this process runs on: loading it registers
    // types and does nothing else.
    let library = unsafe { Library::new(path) }.map_err(|error| failed(error.to_string()))?;
    Ok(Box::leak(Box::new(library)))
}

/// Where a library of the ROS installation is: in the first prefix that has it.
fn installed(file: &str) -> Option<PathBuf> {
    let prefixes = std::env::var_os("AMENT_PREFIX_PATH")?;
    std::env::split_paths(&prefixes).map(|prefix| prefix.join("lib").join(file)).find(|path| path.is_file())
}
