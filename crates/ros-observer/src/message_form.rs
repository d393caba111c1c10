//! The forms that a message has on our side of the border: a compiled-in struct, or serialized bytes of any installed type.
//! On rcl's side a service's messages are always C structs.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::NonNull;

use r2r::WrappedTypesupport;
use r2r_rcl::*;

use crate::serialized::{SerializedBuffer, as_serialized};
use crate::{Error, MessageType, error::check};

/// Makes C messages of one type, and moves values in and out of them.
///
/// # Safety
/// `create` gives an initialised message of one C type, which is not null, and `destroy` ends it.
pub(crate) unsafe trait MessageForm: Send + Sync {
    /// What is read out of a message.
    type Value;
    /// What a message is filled with.
    type Filling: ?Sized;

    fn create(&self) -> NonNull<c_void>;

    /// # Safety
    /// `native` is of `create`.
    unsafe fn read(&self, native: NonNull<c_void>) -> Result<Self::Value, Error>;

    /// # Safety
    /// `native` is of `create`, and nobody else refers to it.
    unsafe fn fill(&self, native: NonNull<c_void>, value: &Self::Filling) -> Result<(), Error>;

    /// # Safety
    /// `native` is of `create` and not used again.
    unsafe fn destroy(&self, native: NonNull<c_void>);
}

/// A C message, ended when dropped.
pub(crate) struct NativeMessage<'a, F: MessageForm> {
    form: &'a F,
    pointer: NonNull<c_void>,
}

impl<'a, F: MessageForm> NativeMessage<'a, F> {
    /// With the type's default values.
    pub(crate) fn new(form: &'a F) -> Self {
        Self { form, pointer: form.create() }
    }

    pub(crate) fn filled(form: &'a F, value: &F::Filling) -> Result<Self, Error> {
        let message = Self::new(form);
        // SAFETY: the message is of this form's `create`, and ours alone.
        unsafe { form.fill(message.pointer, value) }?;
        Ok(message)
    }

    pub(crate) fn read(&self) -> Result<F::Value, Error> {
        // SAFETY: the message is of this form's `create`.
        unsafe { self.form.read(self.pointer) }
    }

    /// For rcl to read, or to write a message of the type.
    pub(crate) fn as_ptr(&self) -> *mut c_void {
        self.pointer.as_ptr()
    }
}

impl<F: MessageForm> Drop for NativeMessage<'_, F> {
    fn drop(&mut self) {
        // SAFETY: the message is of this form's `create`, and nothing refers to it any more.
        unsafe { self.form.destroy(self.pointer) }
    }
}

/// A type that is compiled in.
pub(crate) struct CompiledForm<T>(PhantomData<fn() -> T>);

impl<T> Default for CompiledForm<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

// SAFETY: r2r's `create_msg` gives an initialised message of `T::CStruct`, which its `destroy_msg` ends.
unsafe impl<T: WrappedTypesupport> MessageForm for CompiledForm<T> {
    type Value = T;
    type Filling = T;

    fn create(&self) -> NonNull<c_void> {
        NonNull::new(T::create_msg().cast()).expect("memory for a message")
    }

    unsafe fn read(&self, native: NonNull<c_void>) -> Result<T, Error> {
        // SAFETY: an initialised message of T's C type.
        Ok(T::from_native(unsafe { native.cast().as_ref() }))
    }

    unsafe fn fill(&self, native: NonNull<c_void>, value: &T) -> Result<(), Error> {
        // SAFETY: as above, and ours alone.
        value.copy_to_native(unsafe { native.cast().as_mut() });
        Ok(())
    }

    unsafe fn destroy(&self, native: NonNull<c_void>) {
        T::destroy_msg(native.cast().as_ptr());
    }
}

/// Any type that is installed, as bytes: 4 of encapsulation, then CDR.
pub(crate) struct SerializedForm {
    support: MessageType,
    layout: Layout,
    init: unsafe extern "C" fn(*mut c_void, rosidl_runtime_c__message_initialization),
    fini: unsafe extern "C" fn(*mut c_void),
}

/// What malloc promises, with which rosidl allocates its messages.
const ALIGNMENT: usize = 16;

impl SerializedForm {
    /// Of a type by its name, for example `std_srvs/srv/SetBool_Request`.
    ///
    /// # Errors
    /// As of [`MessageType::find`], or when the package was built without introspection.
    pub(crate) fn find(name: &str) -> Result<Self, Error> {
        let members = MessageType::members(name)?;
        let failed = |reason: &str| Error::new("find a message type", RCL_RET_ERROR as rcl_ret_t, reason);
        let layout = Layout::from_size_align(members.size_of_.max(1), ALIGNMENT);
        let layout = layout.map_err(|_| failed("it is larger than the memory"))?;
        let (Some(init), Some(fini)) = (members.init_function, members.fini_function) else {
            return Err(failed("its package cannot make a message"));
        };
        Ok(Self { support: MessageType::find(name)?, layout, init, fini })
    }
}

// SAFETY: rosidl's own init function initialises the `size_of_` bytes that it is given as a message of the type that
// `support` supports, and its fini function ends it.
unsafe impl MessageForm for SerializedForm {
    type Value = Vec<u8>;
    type Filling = [u8];

    fn create(&self) -> NonNull<c_void> {
        // SAFETY: the layout has at least one byte.
        let memory = unsafe { alloc_zeroed(self.layout) };
        let Some(native) = NonNull::new(memory) else { handle_alloc_error(self.layout) };
        // SAFETY: there is room for a message of the type, and it is aligned as malloc would.
        unsafe {
            (self.init)(native.as_ptr().cast(), rosidl_runtime_c__message_initialization::ROSIDL_RUNTIME_C_MSG_INIT_ALL)
        }
        native.cast()
    }

    unsafe fn read(&self, native: NonNull<c_void>) -> Result<Vec<u8>, Error> {
        let mut buffer = SerializedBuffer::new()?;
        // SAFETY: an initialised message of the supported type; the buffer is initialised and grows by its own allocator.
        let code = unsafe { rmw_serialize(native.as_ptr(), self.support.as_ptr(), buffer.as_mut()) };
        check(code, "serialize a message")?;
        Ok(buffer.bytes().to_vec())
    }

    unsafe fn fill(&self, native: NonNull<c_void>, value: &[u8]) -> Result<(), Error> {
        let serialized = as_serialized(value, "read a serialized message")?;
        // SAFETY: an initialised message of the supported type, ours alone; the bytes are only read, and outlive the call.
        let code = unsafe { rmw_deserialize(&serialized, self.support.as_ptr(), native.as_ptr()) };
        check(code, "read a serialized message")
    }

    unsafe fn destroy(&self, native: NonNull<c_void>) {
        // SAFETY: an initialised message of `create`, with this layout, used no more.
        unsafe {
            (self.fini)(native.as_ptr());
            dealloc(native.as_ptr().cast(), self.layout);
        }
    }
}
