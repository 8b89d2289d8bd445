//! What a network's answer depends on besides the image and its noise level.

use fewstep_torch::{Device, Kind, Params, ScalarOps, Tensor, counted};

use crate::error::{Error, Result};
use crate::nn::Dropout;

/// Conditions of every image of a batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions<'a> {
    /// Labels, i64 `[B]`; EDM's networks also take class weights, floating point `[B, n_classes]`. A network without classes
    /// ignores them. A DDPM network with classes refuses to go without; one of EDM's then sees a vector of zeros.
    pub labels: Option<&'a Tensor>,
    /// Augmentation parameters, floating point `[B, augment_dim]`. Without them a network that takes them treats the images
    /// as not augmented; a network that takes none ignores them.
    pub augment: Option<&'a Tensor>,
    /// Dropout of this pass, in training.
    pub dropout: Option<&'a Dropout>,
}

/// The inputs that all blocks share.
#[derive(Debug)]
pub(crate) struct BlockInputs<'a> {
    /// `[B, emb_channels]`.
    pub(crate) emb: Tensor,
    pub(crate) dropout: Option<&'a Dropout>,
}

impl BlockInputs<'_> {
    /// Drops values of `h`, before the layer of this key.
    pub(crate) fn dropped(&self, h: Tensor, layer: u64) -> Result<Tensor> {
        match self.dropout {
            Some(dropout) => dropout.apply(&h, layer),
            None => Ok(h),
        }
    }
}

/// Conditions as the layers take them: matrices of the network's kind and of the right width.
#[derive(Debug)]
pub(crate) struct Vectors<'a> {
    /// `[B, n_classes]`, if the network has classes.
    pub(crate) classes: Option<Tensor>,
    /// `[B, augment_dim]`, if the network takes augmentation parameters and there are any.
    pub(crate) augment: Option<Tensor>,
    pub(crate) dropout: Option<&'a Dropout>,
}

impl<'a> Conditions<'a> {
    /// For a batch of `n` images.
    pub(crate) fn vectors(
        &self,
        p: &Params,
        n: i64,
        n_classes: i64,
        augment_dim: i64,
    ) -> Result<Vectors<'a>> {
        let classes = match (n_classes, self.labels) {
            (0, _) => None,
            (_, None) => Some(Tensor::f_zeros([n, n_classes], (p.kind(), p.device()))?),
            (_, Some(labels)) => Some(class_vectors(labels, n, n_classes)?.f_to_kind(p.kind())?),
        };
        let augment = match self.augment.filter(|_| augment_dim > 0) {
            None => None,
            Some(augment) if augment.size() == [n, augment_dim] => Some(augment.f_to_kind(p.kind())?),
            Some(augment) => {
                let expected = format!("[{n}, {augment_dim}]");
                return Err(Error::Input { what: "augmentation", expected, got: augment.size() });
            }
        };
        Ok(Vectors { classes, augment, dropout: self.dropout })
    }
}

/// `[B, n_classes]` of zeros and ones, i64, from labels `[B]`.
///
/// Labels on the CPU are looked at. To look at others would hold up the host until the device is done: whoever brings
/// labels to a device checks them first, by [`check_labels`]. A wrong one gives a row of zeros there.
pub(crate) fn one_hot(labels: &Tensor, n_classes: i64) -> Result<Tensor> {
    if labels.device() == Device::Cpu {
        check_labels(labels, n_classes)?;
    }
    let classes = counted(n_classes, labels.device())?;
    Ok(labels.f_unsqueeze(1)?.f_eq_tensor(&classes)?.f_to_kind(Kind::Int64)?)
}

/// `Err` unless all labels, i64 `[B]`, are from 0 to `n_classes - 1`; a network without classes takes any. Waits for the
/// device of the labels.
///
/// # Errors
/// The first label that is out of range.
pub fn check_labels(labels: &Tensor, n_classes: i64) -> Result<()> {
    if n_classes == 0 {
        return Ok(());
    }
    let wrong = labels.below_number(0i64)?.f_logical_or(&labels.at_least_number(n_classes)?)?.f_nonzero()?;
    if wrong.size()[0] > 0 {
        let image = wrong.f_int64_value(&[0, 0])?;
        return Err(Error::Label { label: labels.f_int64_value(&[image])?, image, n_classes });
    }
    Ok(())
}

fn class_vectors(labels: &Tensor, n: i64, n_classes: i64) -> Result<Tensor> {
    match labels.kind() {
        Kind::Int64 if labels.size() == [n] => one_hot(labels, n_classes),
        Kind::Float | Kind::Double if labels.size() == [n, n_classes] => Ok(labels.shallow_clone()),
        _ => {
            let expected =
                format!("{n} integer labels from 0 to {}, or weights [{n}, {n_classes}]", n_classes - 1);
            Err(Error::Input { what: "labels", expected, got: labels.size() })
        }
    }
}
