//! The output of a run for people: the metrics log, TensorBoard events, image grids and the report page.
//!
//! This crate knows neither libtorch nor diffusion: it takes numbers, bytes and text, and writes files. Files
//! are written atomically (by `fewstep-files`), except for the two logs, which are appended to.
//!
//! ```
//! use fewstep_report::{Chart, GridLayout, Images, Picture, Report, Series};
//!
//! # fn main() -> fewstep_report::Result<()> {
//! let digits = vec![128u8; 6 * 8 * 8];
//! let images = Images::new(&digits, [6, 1, 8, 8])?;
//! let canvas = GridLayout { columns: 3, scale: 4, ..GridLayout::default() }.draw(&images)?;
//! let mut report = Report::new("Digits in one step");
//! let loss = Series::new("student", &[1.0, 2.0], &[0.5, 0.4])?;
//! report.charts.push(Chart::lines("Loss", "kimg", "loss", vec![loss]));
//! report.pictures.push(Picture { caption: "Samples".to_owned(), png: canvas.to_png()? });
//! assert!(report.to_html()?.starts_with("<!DOCTYPE html>"));
//! # Ok(())
//! # }
//! ```

mod axis;
mod chart;
mod crc32c;
mod error;
mod grid;
mod image;
mod metrics;
mod page;
mod tensorboard;

pub use axis::Scale;
pub use chart::{Chart, Series};
pub use error::{Error, Result};
pub use grid::GridLayout;
pub use image::{Canvas, Images};
pub use metrics::{MetricsLog, read_metrics};
pub use page::{Picture, Report, Table};
pub use tensorboard::EventWriter;
