//! Workers on threads of one process, over the loopback.

use std::time::{Duration, Instant};

use tch::{Device, Kind, Tensor};

use super::*;

const TIMEOUTS: Timeouts = Timeouts { join: Duration::from_secs(20), reply: Duration::from_secs(20) };

/// Runs `work` on so many workers; what each returned.
fn run<T: Send>(size: usize, work: impl Fn(&Workers) -> T + Sync) -> Vec<T> {
    let host = StoreHost::start().unwrap();
    std::thread::scope(|scope| {
        let start = |rank| {
            let (place, work) = (host.place(rank, size), &work);
            scope.spawn(move || work(&Workers::join(&place, TIMEOUTS).unwrap()))
        };
        let workers: Vec<_> = (0..size).map(start).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    })
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.to_kind(Kind::Double)).unwrap()
}

#[test]
fn sums_copies_and_texts_reach_everyone() {
    for size in [1, 2, 3] {
        let all = run(size, |workers| {
            let rank = workers.rank() as f64;
            let sum = Tensor::from_slice(&[rank, 1.0]);
            workers.all_reduce(&sum).unwrap();
            let copied = Tensor::full([2], rank, (Kind::Float, Device::Cpu));
            workers.broadcast(&copied, size - 1).unwrap();
            let texts = workers.gather(format!("rank {rank}").as_bytes()).unwrap();
            (numbers(&sum), numbers(&copied), texts, workers.any(workers.rank() == size - 1).unwrap())
        });
        let last = (size - 1) as f64;
        for (sum, copied, texts, any) in all {
            assert_eq!(sum, [(0..size).sum::<usize>() as f64, size as f64]);
            assert_eq!(copied, [last; 2]);
            assert_eq!(texts.len(), size);
            assert_eq!(texts[size - 1], format!("rank {last}").into_bytes());
            assert!(any);
        }
    }
}

#[test]
fn a_value_that_is_not_finite_reaches_everyone() {
    for (sum, other) in run(2, |workers| {
        let here = if workers.rank() == 1 { [f64::NAN, f64::INFINITY] } else { [0.0, 0.0] };
        let (losses, other) = (Tensor::from_slice(&here), Tensor::from_slice(&[1f32]));
        workers.all_reduce(&losses).unwrap();
        workers.all_reduce(&other).unwrap();
        (numbers(&losses), numbers(&other))
    }) {
        assert!(sum[0].is_nan() && sum[1].is_infinite());
        assert_eq!(other, [2.0]);
    }
}

#[test]
fn what_differs_is_named_on_all() {
    let told = run(3, |workers| {
        let mut parts = BTreeMap::from([("config".to_owned(), "c".to_owned())]);
        let data = if workers.rank() == 2 { "other" } else { "same" };
        workers.agree(&parts).unwrap();
        parts.insert("data set".to_owned(), data.to_owned());
        workers.agree(&parts).unwrap_err().to_string()
    });
    for told in told {
        assert_eq!(told, "rank 2 has another data set than rank 0: other there, same at rank 0");
    }
}

#[test]
fn a_worker_that_ends_by_an_error_is_quoted() {
    let told = run(2, |workers| {
        if workers.rank() == 1 {
            workers.leave("the disk is full");
            return None;
        }
        let began = Instant::now();
        let error = workers.all_reduce(&Tensor::from_slice(&[1.0])).unwrap_err().to_string();
        assert!(began.elapsed() < Duration::from_secs(10));
        assert_eq!(workers.meet().unwrap_err().to_string(), error);
        Some(error)
    });
    assert_eq!(told[0].as_deref(), Some("rank 1 stopped: the disk is full"));
}

#[test]
fn a_worker_that_does_not_come_is_named() {
    let host = StoreHost::start().unwrap();
    let timeouts = Timeouts { join: Duration::from_millis(300), ..TIMEOUTS };
    let error = Workers::join(&host.place(0, 3), timeouts).unwrap_err().to_string();
    let expected = format!(
        "1 of 3 workers came to 127.0.0.1:{} within 0.3 s (join timeout); ranks 1, 2 did not",
        host.port()
    );
    assert_eq!(error, expected);
    // One that comes later is told so by the note that rank 0 left.
    let error = Workers::join(&host.place(1, 3), TIMEOUTS).unwrap_err().to_string();
    assert_eq!(error, format!("rank 0 stopped: {expected}"));
}

#[test]
fn without_a_store_the_address_is_named() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let place = Place { port, ..StoreHost::start().unwrap().place(1, 2) };
    let timeouts = Timeouts { join: Duration::from_millis(500), ..TIMEOUTS };
    let error = Workers::join(&place, timeouts).unwrap_err().to_string();
    assert!(error.contains(&format!("127.0.0.1:{port} within 0.5 s (join timeout)")), "{error}");
    assert!(error.contains("the other worker"), "{error}");
}
