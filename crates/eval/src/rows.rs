//! Feature rows, the input of every statistic in this crate: `[n, d]`, one sample per row, finite, converted to f64.

use crate::error::{During, Error, Result};
use tch::{Device, Kind, Tensor};

/// Rows checked at a time.
const CHUNK: i64 = 4096;

/// The rows in f64 on `device`, detached from any gradient graph.
///
/// `first_row` is the number of earlier rows of the stream, so that an error can name a row of the whole stream.
///
/// # Shapes
/// `rows [n, d]`, any real kind -> `[n, d]` f64; `d` must equal `width` if that is given.
///
/// # Errors
/// Wrong rank or width, complex values, non-finite values (first row and column named), failures of libtorch.
pub(crate) fn rows_f64(
    operation: &'static str,
    rows: &Tensor,
    width: Option<usize>,
    first_row: u64,
    device: Device,
) -> Result<Tensor> {
    let rows = checked_rows(operation, rows, width)?;
    let rows = rows.f_to_device(device).and_then(|t| t.f_to_kind(Kind::Double)).during(operation)?;
    all_finite(operation, &rows, first_row)?;
    Ok(rows)
}

/// The rows unconverted, detached from any gradient graph.
///
/// # Shapes
/// `rows [n, d]`, any real kind; `d` must be above 0, and equal `width` if that is given.
///
/// # Errors
/// Wrong rank or width, complex values.
pub(crate) fn checked_rows(operation: &'static str, rows: &Tensor, width: Option<usize>) -> Result<Tensor> {
    let shape = shape_of(operation, rows)?;
    let fits = shape.len() == 2 && shape[1] > 0 && width.is_none_or(|w| shape[1] as usize == w);
    if fits && !rows.f_is_complex().during(operation)? {
        return rows.f_detach().during(operation);
    }
    let expected = width.map_or("real rows [n, d]".to_owned(), |w| format!("real rows [n, {w}]"));
    let got = format!("{:?} of shape {shape:?}", rows.f_kind().during(operation)?);
    Err(Error::Input { operation, expected, got })
}

/// The shape of a tensor that may be undefined.
pub(crate) fn shape_of(operation: &'static str, tensor: &Tensor) -> Result<Vec<i64>> {
    if tensor.defined() {
        return Ok(tensor.size());
    }
    Err(Error::Input { operation, expected: "a tensor".to_owned(), got: "an undefined tensor".to_owned() })
}

/// Checks that all values are finite.
///
/// # Shapes
/// `rows [n, d]`, floating point.
///
/// # Errors
/// When a value is NaN or infinite.
pub(crate) fn all_finite(operation: &'static str, rows: &Tensor, first_row: u64) -> Result<()> {
    // In chunks, so that checking half a gigabyte of rows does not allocate as much.
    for chunk in rows.f_split(CHUNK, 0).during(operation)? {
        let finite = chunk.f_isfinite().and_then(|t| t.f_all()).and_then(|t| t.f_int64_value(&[]));
        if finite.during(operation)? == 0 {
            return Err(non_finite(operation, rows, first_row)?);
        }
    }
    Ok(())
}

fn non_finite(operation: &'static str, rows: &Tensor, first_row: u64) -> Result<Error> {
    let finite = rows.f_isfinite().and_then(|t| t.f_logical_not()).during(operation)?;
    let places = finite.f_nonzero().during(operation)?;
    let at = |column| places.f_int64_value(&[0, column]).during(operation);
    let (row, column) = (first_row + at(0)? as u64, at(1)? as u64);
    let count = shape_of(operation, &places)?[0] as u64;
    Ok(Error::NonFinite { operation, row, column, count })
}

/// The values of a tensor in row-major order.
pub(crate) fn values_f64(operation: &'static str, tensor: &Tensor) -> Result<Vec<f64>> {
    let n = shape_of(operation, tensor)?.iter().product::<i64>() as usize;
    let mut values = vec![0.0; n];
    let flat = tensor.f_to_kind(Kind::Double).during(operation)?;
    flat.f_copy_data(&mut values, n).during(operation)?;
    Ok(values)
}
