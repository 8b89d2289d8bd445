use super::*;
use crate::extractor::Extractor;
use crate::feature_space::ImageShape;
use crate::feature_space::{PoolThree, Protocol};
use tch::{Device, Kind, Tensor};

const SHAPE: ImageShape = ImageShape { channels: 1, height: 1, width: 3 };

fn moments(factor: i64) -> ImageMoments {
    let pixels = Extractor::pixels(SHAPE).unwrap();
    let mut moments = ImageMoments::new(&pixels, Device::Cpu).unwrap();
    let images = (Tensor::arange(60, (Kind::Int64, Device::Cpu)) * factor).remainder(251);
    moments.push(&pixels, &images.to_kind(Kind::Uint8).view([20, 1, 1, 3])).unwrap();
    moments
}

fn origin(count: Option<u64>) -> StatedOrigin {
    StatedOrigin { space: FeatureSpace::Pixels(SHAPE), count, description: "from elsewhere".to_owned() }
}

#[test]
fn files_round_trip_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ref.npz");
    let stats = ReferenceStats::of(&moments(37), "a ramp").unwrap();
    stats.save(&path).unwrap();
    let first = std::fs::read(&path).unwrap();
    let back = ReferenceStats::open(&path).unwrap();
    assert_eq!(back, stats);
    assert_eq!((back.count(), back.digest()), (ReferenceCount::Measured(20), stats.digest()));
    back.save(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn statistics_of_other_programs_are_taken_on_a_stated_claim() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs.npz");
    let stats = ReferenceStats::of(&moments(37), "a ramp").unwrap();
    let (mean, covariance) = values(stats.gaussian());
    let write = |mu: &[usize], sigma: &[usize]| {
        let mu = NamedArray::from_f64("mu", mu, &mean).unwrap();
        let sigma = NamedArray::from_f64("sigma", sigma, &covariance).unwrap();
        write_npz([&mu, &sigma], std::fs::File::create(&path).unwrap()).unwrap();
    };
    write(&[3], &[3, 3]);
    let message = ReferenceStats::open(&path).unwrap_err().to_string();
    assert!(message.contains("its protocol must be stated"), "{message}");
    let imported = ReferenceStats::import(&path, origin(None)).unwrap();
    assert_eq!((imported.gaussian(), imported.digest()), (stats.gaussian(), stats.digest()));
    assert_eq!(imported.count(), ReferenceCount::Unknown);
    let score = moments(41).frechet_against(&imported).unwrap();
    assert_eq!(score.n_reference(), ReferenceCount::Unknown);
    let stated = ReferenceStats::import(&path, origin(Some(50))).unwrap();
    assert_eq!(stated.count(), ReferenceCount::Stated(50));
    assert_eq!(score.value(), moments(41).frechet_against(&stats).unwrap().value());

    assert!(ReferenceStats::import(&path, origin(Some(1))).is_err());
    let pool3 = FeatureSpace::PoolThree(PoolThree::fid(Protocol::Tf));
    let message =
        ReferenceStats::import(&path, StatedOrigin { space: pool3, ..origin(None) }).unwrap_err().to_string();
    assert!(message.contains("2048 features"), "{message}");
    for (mu, sigma) in [(&[1usize, 3][..], &[3usize, 3][..]), (&[3], &[9]), (&[3], &[1, 9])] {
        write(mu, sigma);
        assert!(ReferenceStats::import(&path, origin(None)).is_err(), "{mu:?} {sigma:?}");
    }
}

#[test]
fn another_protocol_is_refused_and_named() {
    let stats = ReferenceStats::of(&moments(37), "a ramp").unwrap();
    let [a, b] = Protocol::ALL.map(|p| FeatureSpace::PoolThree(PoolThree::fid(p)));
    let as_if = |space: &FeatureSpace| {
        let record = StatsRecord { space: space.clone(), ..stats.record.clone() };
        ReferenceStats { record, ..stats.clone() }
    };
    as_if(&a).require_space("test", &a).unwrap();
    let message = as_if(&a).require_space("test", &b).unwrap_err().to_string();
    assert!(
        message.contains("2015-12-05, tf, got") && message.contains("2015-12-05, pytorch-fid"),
        "{message}"
    );
}

#[test]
fn changed_numbers_and_records_are_seen() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ref.npz");
    let stats = ReferenceStats::of(&moments(37), "a ramp").unwrap();
    let other = ReferenceStats::of(&moments(38), "another ramp").unwrap();
    ReferenceStats { gaussian: other.gaussian.clone(), ..stats.clone() }.save(&path).unwrap();
    let message = ReferenceStats::open(&path).unwrap_err().to_string();
    assert!(message.contains("expected numbers of sha256:"), "{message}");
    assert!(ReferenceStats::of(&moments(37), " ").is_err());
    let grey = StatsRecord { n_grey: 21, ..stats.record.clone() };
    ReferenceStats { record: grey, ..stats.clone() }.save(&path).unwrap();
    assert!(ReferenceStats::open(&path).is_err());
    stats.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    for cut in (0..bytes.len()).step_by(7) {
        std::fs::write(&path, &bytes[..cut]).unwrap();
        assert!(ReferenceStats::open(&path).is_err(), "cut at {cut}");
    }
    let missing = folder.path().join("none/ref.npz");
    assert!(matches!(ReferenceStats::open(&missing), Err(Error::File { .. })));
    assert!(matches!(stats.save(&missing), Err(Error::File { .. })));
}
