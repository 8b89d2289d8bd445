use super::*;
use crate::error::{Error, Result};
use crate::extractor::{ExtractFeatures, Extractor};
use crate::feature_space::{FeatureSpace, ImageShape, NamedSpace, PoolThree};
use crate::name::Name;
use crate::space::{FeatureOptions, Grey};
use fewstep_files::Digest;
use tch::{Device, Kind, Tensor};

/// An extractor that says it is of `space` and gives rows of `width`, one of them missing if `short`.
struct Claims {
    space: FeatureSpace,
    width: i64,
    short: bool,
}

impl ExtractFeatures for Claims {
    fn space(&self) -> FeatureSpace {
        self.space.clone()
    }

    fn features(&self, images: &Tensor) -> Result<Tensor> {
        let n = images.size()[0] - i64::from(self.short);
        Tensor::f_zeros([n, self.width], (Kind::Float, Device::Cpu)).map_err(Error::other)
    }
}

fn named(width: u32) -> FeatureSpace {
    let name = Name::new("made-up").unwrap();
    FeatureSpace::Named(NamedSpace { name, digest: Digest::of(b"1"), width })
}

#[test]
fn an_extractor_from_outside_is_of_no_space_of_this_crate() {
    let fid = FeatureSpace::PoolThree(PoolThree::fid(Protocol::Tf));
    let pixels = FeatureSpace::Pixels(ImageShape { channels: 1, height: 1, width: 2 });
    for space in [fid, pixels, named(0)] {
        let message = Extractor::of(Claims { space, width: 2, short: false }).unwrap_err().to_string();
        assert!(message.contains("a name of its own"), "{message}");
    }
    let images = Tensor::zeros([3, 1, 1, 2], (Kind::Uint8, Device::Cpu));
    let rows = |width, short| {
        let extractor = Extractor::of(Claims { space: named(2), width, short }).unwrap();
        extractor.features(&images)
    };
    assert_eq!(rows(2, false).unwrap().size(), [3, 2]);
    for (rows, problem) in [(rows(3, false), "real rows [n, 2]"), (rows(2, true), "each of 3 images, got 2")]
    {
        let message = rows.unwrap_err().to_string();
        assert!(message.contains(problem), "{message}");
    }
}

#[test]
fn a_space_is_stored_with_all_that_tells_it_from_others() {
    let json = serde_json::to_string(&named(2)).unwrap();
    let digest = Digest::of(b"1");
    assert_eq!(json, format!(r#"{{"named":{{"name":"made-up","digest":"{digest}","width":2}}}}"#));
    assert_eq!(serde_json::from_str::<FeatureSpace>(&json).unwrap(), named(2));
    assert!(serde_json::from_str::<FeatureSpace>(&json.replace("made-up", "pool3")).is_err());
    assert_eq!(named(2).to_string(), format!("made-up of 2 features, {digest}"));
    assert_eq!(named(2).file_name(), None, "nothing of it is kept");
}

#[test]
fn configs_and_flags_know_a_space_by_its_name() {
    for choice in Features::ALL {
        assert_eq!(choice.name().parse(), Ok(*choice));
        assert_eq!(serde_json::from_value::<Features>(choice.name().into()).unwrap(), *choice);
        assert_eq!(serde_json::to_value(choice).unwrap(), choice.name());
    }
    let message = "foo".parse::<Features>().unwrap_err();
    let text = "`foo` is no feature space: expected one of pixels, pytorch-fid, tf";
    assert!(message.starts_with(text), "{message}");
    let message = serde_json::from_str::<Features>("\"foo\"").unwrap_err().to_string();
    assert!(
        message.starts_with("unknown variant `foo`, expected one of `pixels`, `pytorch-fid`, `tf`"),
        "{message}"
    );
}

#[test]
fn pixels_need_no_files() {
    let options = FeatureOptions { weights: None, grey: Grey::Refuse, device: Device::Cpu };
    let shape = ImageShape { channels: 3, height: 2, width: 2 };
    let space = Features::default().space();
    assert_eq!(space.extractor(shape, &options).unwrap().space(), FeatureSpace::Pixels(shape));
    assert!(space.published().is_none() && Features::Tf.space().published().is_some());
    assert_eq!(FeatureSpace::Pixels(shape).file_name(), None);
    let fid = FeatureSpace::PoolThree(PoolThree::fid(Protocol::Tf));
    assert_eq!(fid.file_name().unwrap(), "tf-faa37c74");
}

/// A name that a space of this crate has, or has in a record, is free for spaces outside it only if it is itself a named one.
#[test]
fn the_names_of_spaces_are_taken() {
    let shape = ImageShape { channels: 1, height: 1, width: 1 };
    let options = FeatureOptions { weights: None, grey: Grey::Refuse, device: Device::Cpu };
    for choice in Features::ALL {
        for name in choice.names().into_iter().filter(|name| Name::new(name).is_ok()) {
            let space = choice.space().extractor(shape, &options).unwrap().space();
            let named = matches!(&space, FeatureSpace::Named(space) if space.name.as_str() == name);
            assert!(named, "`{name}` is to be in `TAKEN`");
        }
    }
    let fid = PoolThree::fid(Protocol::Tf);
    let other = PoolThree { weights: Digest::of(b"other"), ..fid.clone() };
    for space in [FeatureSpace::Pixels(shape), FeatureSpace::PoolThree(fid), FeatureSpace::PoolThree(other)] {
        let stored = serde_json::to_value(&space).unwrap();
        let stored = stored.as_object().unwrap().keys().map(String::as_str);
        for name in stored.chain([space.description().label()]) {
            assert!(Name::new(name).is_err(), "`{name}` is to be in `TAKEN`");
        }
    }
}
