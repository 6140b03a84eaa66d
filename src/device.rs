//! A device's name, as the command line and the config spell it → burn's device; and what our own kernels ask of it.

use std::{fmt, str::FromStr};

use burn::{
    backend::{Flex, flex::FlexDevice, ops::FloatTensorOps, tensor::FloatTensor},
    tensor::{Device, TensorData},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

/// Where the dense part of the model runs. The table always stays in host memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceName {
    /// CUDA if built in and present, then a hardware GPU through wgpu, then `cpu`.
    #[default]
    Auto,
    /// burn's flex backend with our fused kernels.
    Cpu,
    /// burn-ndarray, kept as a reference.
    Ndarray,
    /// The `N`th GPU through wgpu, or its best one; a software GPU counts.
    Wgpu(Option<usize>),
    /// wgpu, held to the Vulkan interface.
    Vulkan,
    /// The `N`th CUDA device.
    Cuda(usize),
}

/// Why a device can't be used.
#[derive(Debug, Error)]
pub enum DeviceError {
    #[error("device `{found}`: expected `auto`, `cpu`, `ndarray`, `wgpu`, `wgpu:N`, `vulkan`, `cuda` or `cuda:N`")]
    Unknown { found: String },
    #[error("device `{device}` is not in this build: it was built without the feature `{feature}`")]
    NotBuilt { device: DeviceName, feature: &'static str },
    #[error("device `{device}` can't be opened: {reason}")]
    NotFound { device: DeviceName, reason: String },
}

impl DeviceError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => None,
            Self::NotBuilt { feature, .. } => Some(format!("build with `cargo build --release --features {feature}`")),
            Self::NotFound { .. } => Some("`--device cpu` runs on every machine".to_owned()),
        }
    }
}

impl FromStr for DeviceName {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let unknown = || DeviceError::Unknown { found: text.to_owned() };
        let (name, index) = match text.split_once(':') {
            Some((name, index)) => (name, Some(index.parse::<usize>().map_err(|_| unknown())?)),
            None => (text, None),
        };
        match (name, index) {
            ("auto", None) => Ok(Self::Auto),
            ("cpu", None) => Ok(Self::Cpu),
            ("ndarray", None) => Ok(Self::Ndarray),
            ("wgpu", index) => Ok(Self::Wgpu(index)),
            ("vulkan", None) => Ok(Self::Vulkan),
            ("cuda", index) => Ok(Self::Cuda(index.unwrap_or(0))),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => formatter.write_str("auto"),
            Self::Cpu => formatter.write_str("cpu"),
            Self::Ndarray => formatter.write_str("ndarray"),
            Self::Wgpu(None) => formatter.write_str("wgpu"),
            Self::Wgpu(Some(index)) => write!(formatter, "wgpu:{index}"),
            Self::Vulkan => formatter.write_str("vulkan"),
            Self::Cuda(index) => write!(formatter, "cuda:{index}"),
        }
    }
}

impl Serialize for DeviceName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeviceName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl DeviceName {
    /// Opens the device; the name that comes back says which one `auto` became.
    ///
    /// # Errors
    /// [`DeviceError`] where the build or the machine lacks it.
    pub fn open(self) -> Result<(Self, Device), DeviceError> {
        match self {
            Self::Auto => Ok(automatic()),
            Self::Cpu => Ok((self, Device::flex())),
            Self::Ndarray => ndarray().map(|device| (self, device)),
            Self::Wgpu(index) => wgpu(self, index, false).map(|device| (self, device)),
            Self::Vulkan => wgpu(self, None, true).map(|device| (self, device)),
            Self::Cuda(index) => cuda(index).map(|device| (self, device)),
        }
    }
}

/// Whether `device` is the CPU backend that our fused kernels are written for.
pub fn has_fused_kernels(device: &Device) -> bool {
    *device == Device::flex()
}

/// A tensor of the CPU backend that owns `values`, without a copy, for the fused operations.
pub(crate) fn cpu_tensor<const D: usize>(values: Vec<f32>, shape: [usize; D]) -> FloatTensor<Flex> {
    <Flex as FloatTensorOps<Flex>>::float_from_data(TensorData::new(values, shape), &FlexDevice)
}

/// Runs `work`, which reads so many `numbers`, on a worker thread where the CPU computes: each parallel loop in it then starts
/// without a handover between threads, which costs a small batch more than the loop. The smallest ones aren't handed over at all.
pub fn on_worker<R: Send>(device: &Device, numbers: usize, work: impl FnOnce() -> R + Send) -> R {
    const LEAST_NUMBERS: usize = 1 << 15;
    let is_worth_it = numbers >= LEAST_NUMBERS && has_fused_kernels(&device.clone().inner());
    if is_worth_it { rayon::scope(|_| work()) } else { work() }
}

fn automatic() -> (DeviceName, Device) {
    if let Ok(device) = cuda(0) {
        return (DeviceName::Cuda(0), device);
    }
    if hardware_gpu()
        && let Ok(device) = wgpu(DeviceName::Wgpu(None), None, false)
    {
        return (DeviceName::Wgpu(None), device);
    }
    (DeviceName::Cpu, Device::flex())
}

#[cfg(feature = "ndarray")]
#[expect(clippy::unnecessary_wraps, reason = "the same signature as without the feature")]
fn ndarray() -> Result<Device, DeviceError> {
    #[expect(deprecated, reason = "kept as a reference to compare with")]
    Ok(Device::ndarray())
}

#[cfg(not(feature = "ndarray"))]
fn ndarray() -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt { device: DeviceName::Ndarray, feature: "ndarray" })
}

#[cfg(feature = "cuda")]
fn cuda(index: usize) -> Result<Device, DeviceError> {
    let device = DeviceName::Cuda(index);
    // The driver is loaded at run time and its absence surfaces as a panic inside the runtime.
    let found = quietly(|| Device::enumerate(burn::tensor::DeviceType::Cuda).into_vec()).unwrap_or_default();
    if index < found.len() {
        return Ok(Device::cuda(index));
    }
    Err(DeviceError::NotFound { device, reason: format!("found {} CUDA devices", found.len()) })
}

#[cfg(not(feature = "cuda"))]
fn cuda(index: usize) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt { device: DeviceName::Cuda(index), feature: "cuda" })
}

#[cfg(feature = "wgpu")]
fn wgpu(device: DeviceName, index: Option<usize>, vulkan: bool) -> Result<Device, DeviceError> {
    use burn::tensor::DeviceKind;
    let kind = index.map_or(DeviceKind::DefaultDevice, DeviceKind::DiscreteGpu);
    let options = Device::wgpu_options().device_kind(kind);
    let options = if vulkan { options.graphics_api(burn::tensor::wgpu::WgpuBackend::Vulkan) } else { options };
    match quietly(|| options.init()) {
        Some(Ok(opened)) => Ok(opened),
        Some(Err(error)) => Err(DeviceError::NotFound { device, reason: error.to_string() }),
        None => Err(DeviceError::NotFound { device, reason: "no graphics adapter answered".to_owned() }),
    }
}

#[cfg(not(feature = "wgpu"))]
fn wgpu(device: DeviceName, _index: Option<usize>, _vulkan: bool) -> Result<Device, DeviceError> {
    Err(DeviceError::NotBuilt { device, feature: "wgpu" })
}

/// Whether wgpu sees a GPU that is no software renderer.
#[cfg(feature = "wgpu")]
fn hardware_gpu() -> bool {
    // Without such a node Linux has no GPU to offer, and asking the graphics drivers costs time and a line on stderr.
    const NODES: [&str; 3] = ["/dev/dri", "/dev/nvidia0", "/dev/dxg"];
    if cfg!(target_os = "linux") && !NODES.iter().any(|node| std::path::Path::new(node).exists()) {
        return false;
    }
    let devices = quietly(|| Device::enumerate(burn::tensor::DeviceType::Wgpu).into_vec()).unwrap_or_default();
    devices.iter().any(|device| format!("{device:?}").contains("Gpu("))
}

#[cfg(not(feature = "wgpu"))]
fn hardware_gpu() -> bool {
    false
}

/// Runs `open` and turns a panic of a graphics runtime into `None`, without its message on the terminal.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn quietly<T>(open: impl FnOnce() -> T) -> Option<T> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(open));
    std::panic::set_hook(hook);
    result.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_a_round_trip() {
        for name in ["auto", "cpu", "ndarray", "wgpu", "wgpu:1", "vulkan", "cuda:2"] {
            assert_eq!(name.parse::<DeviceName>().unwrap().to_string(), name);
        }
        assert!("gpu".parse::<DeviceName>().is_err());
        assert!("cpu:1".parse::<DeviceName>().is_err());
    }
}
