//! The list of globals that tensors need, and what each may be used for. The decoder refuses all others.

use crate::tensor::DType;

/// An allowed global.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Global {
    /// A dictionary, called with nothing or with pairs.
    OrderedDict,
    /// NVIDIA's dictionary whose keys are attributes.
    EasyDict,
    /// A set, called with a list (protocols below 4 have no opcode for sets).
    Set,
    /// The extents of a tensor, called with a tuple.
    Size,
    /// A view of a storage.
    RebuildTensor,
    /// A view of a storage, with flags after it.
    RebuildTensorV2,
    /// A trained tensor.
    RebuildParameter,
    /// A storage, called with the bytes of a file of the old torch format.
    LoadFromBytes,
    /// A persistent class, called with a dictionary of class name and state.
    Persistent,
    /// torch's dictionary of modules: an empty object whose state is set later.
    ModuleDict,
    /// A numpy number, called with its type and its bytes.
    NumpyScalar,
    /// The type of a numpy number.
    NumpyDType,
    /// Bytes written as text (protocols below 3 have no opcode for bytes).
    Encode,
    /// The type of a storage, named and never called.
    Storage(DType),
}

const LIST: [(&str, &str, Global); 29] = [
    ("collections", "OrderedDict", Global::OrderedDict),
    ("dnnlib.util", "EasyDict", Global::EasyDict),
    ("builtins", "set", Global::Set),
    ("__builtin__", "set", Global::Set),
    ("torch", "Size", Global::Size),
    ("torch._utils", "_rebuild_tensor", Global::RebuildTensor),
    ("torch._utils", "_rebuild_tensor_v2", Global::RebuildTensorV2),
    ("torch._utils", "_rebuild_parameter", Global::RebuildParameter),
    ("torch.storage", "_load_from_bytes", Global::LoadFromBytes),
    ("torch_utils.persistence", "_reconstruct_persistent_obj", Global::Persistent),
    ("persistence", "_reconstruct_persistent_obj", Global::Persistent),
    ("torch.nn.modules.container", "ModuleDict", Global::ModuleDict),
    ("numpy.core.multiarray", "scalar", Global::NumpyScalar),
    ("numpy._core.multiarray", "scalar", Global::NumpyScalar),
    ("numpy", "dtype", Global::NumpyDType),
    ("_codecs", "encode", Global::Encode),
    ("torch", "BoolStorage", Global::Storage(DType::Bool)),
    ("torch", "ByteStorage", Global::Storage(DType::U8)),
    ("torch", "CharStorage", Global::Storage(DType::I8)),
    ("torch", "ShortStorage", Global::Storage(DType::I16)),
    ("torch", "IntStorage", Global::Storage(DType::I32)),
    ("torch", "LongStorage", Global::Storage(DType::I64)),
    ("torch", "HalfStorage", Global::Storage(DType::F16)),
    ("torch", "BFloat16Storage", Global::Storage(DType::BF16)),
    ("torch", "FloatStorage", Global::Storage(DType::F32)),
    ("torch", "DoubleStorage", Global::Storage(DType::F64)),
    ("torch.cuda", "HalfStorage", Global::Storage(DType::F16)),
    ("torch.cuda", "FloatStorage", Global::Storage(DType::F32)),
    ("torch.cuda", "LongStorage", Global::Storage(DType::I64)),
];

impl Global {
    /// The global of this name, if it is on the list.
    pub(crate) fn find(module: &str, name: &str) -> Option<Self> {
        LIST.iter().find(|(m, n, _)| *m == module && *n == name).map(|(_, _, global)| *global)
    }

    /// The global's name, without the module.
    pub(crate) fn name(self) -> &'static str {
        LIST.iter().find(|(_, _, global)| *global == self).map_or("a global", |(_, name, _)| name)
    }

    /// Whether objects of it may be allocated (`NEWOBJ`) without arguments.
    pub(crate) fn is_class(self) -> bool {
        matches!(self, Self::OrderedDict | Self::EasyDict | Self::ModuleDict)
    }

    /// Whether the state of its objects may be set (`BUILD`).
    pub(crate) fn takes_state(self) -> bool {
        matches!(self, Self::ModuleDict | Self::NumpyDType)
    }

    /// Whether it may be called (`REDUCE`).
    pub(crate) fn is_callable(self) -> bool {
        !matches!(self, Self::Storage(_) | Self::ModuleDict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_names_are_on_the_list() {
        assert_eq!(Global::find("torch", "HalfStorage"), Some(Global::Storage(DType::F16)));
        for (module, name) in [
            ("os", "system"),
            ("builtins", "eval"),
            ("torch", "load"),
            ("torch.storage", "_load_from_bytes.__globals__"),
            ("torch.storage.", "_load_from_bytes"),
            ("collections.OrderedDict", ""),
            ("", "set"),
            ("builtins", "getattr"),
            ("torch_utils", "persistence._reconstruct_persistent_obj"),
        ] {
            assert_eq!(Global::find(module, name), None, "{module} {name}");
        }
    }
}
