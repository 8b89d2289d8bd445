//! Parses the header of an npy file, which is a Python dictionary with three known keys.

pub(crate) struct Header {
    pub(crate) descr: String,
    pub(crate) fortran_order: bool,
    pub(crate) shape: Vec<usize>,
}

/// What was expected, the byte offset, and what is there.
pub(crate) type Fault = (&'static str, usize, String);

/// numpy's limit on dimensions.
const MAX_DIMS: usize = 64;

pub(crate) fn parse(text: &[u8]) -> Result<Header, Fault> {
    let mut scanner = Scanner { text, pos: 0 };
    let (mut descr, mut fortran_order, mut shape) = (None, None, None);
    scanner.symbol(b'{', "a dictionary")?;
    while !scanner.take(b'}') {
        scanner.rest();
        let at = scanner.pos;
        let again = match scanner.quoted()?.as_str() {
            "descr" => {
                scanner.symbol(b':', "a colon")?;
                descr.replace(scanner.quoted()?).is_some()
            }
            "fortran_order" => {
                scanner.symbol(b':', "a colon")?;
                fortran_order.replace(scanner.truth()?).is_some()
            }
            "shape" => {
                scanner.symbol(b':', "a colon")?;
                shape.replace(scanner.shape()?).is_some()
            }
            _ => true,
        };
        if again {
            return Err(("the keys descr, fortran_order and shape, once each", at, scanner.escaped(at)));
        }
        if !scanner.take(b',') {
            scanner.symbol(b'}', "a comma, or the end of the dictionary")?;
            break;
        }
    }
    let end = scanner.pos;
    if !scanner.rest().is_empty() {
        return Err(("nothing after the dictionary", end, scanner.escaped(end)));
    }
    match (descr, fortran_order, shape) {
        (Some(descr), Some(fortran_order), Some(shape)) => Ok(Header { descr, fortran_order, shape }),
        _ => Err(("the keys descr, fortran_order and shape", end, "the end of the dictionary".to_owned())),
    }
}

struct Scanner<'a> {
    text: &'a [u8],
    pos: usize,
}

impl<'a> Scanner<'a> {
    /// The rest of the text, after skipping white space.
    fn rest(&mut self) -> &'a [u8] {
        let rest = self.text.get(self.pos..).unwrap_or_default();
        let trimmed = rest.trim_ascii_start();
        self.pos += rest.len() - trimmed.len();
        trimmed
    }

    fn take(&mut self, symbol: u8) -> bool {
        let found = self.rest().first() == Some(&symbol);
        self.pos += usize::from(found);
        found
    }

    fn symbol(&mut self, symbol: u8, expected: &'static str) -> Result<(), Fault> {
        if self.take(symbol) { Ok(()) } else { Err((expected, self.pos, self.escaped(self.pos))) }
    }

    fn quoted(&mut self) -> Result<String, Fault> {
        let text = self.rest();
        let fault = |scanner: &Self| ("a short text in quotes", scanner.pos, scanner.escaped(scanner.pos));
        let Some((quote @ (b'\'' | b'"'), rest)) = text.split_first() else { return Err(fault(self)) };
        let len = rest.iter().position(|b| b == quote).ok_or_else(|| fault(self))?;
        let inner = &rest[..len];
        if !inner.iter().all(|b| b.is_ascii_graphic() && *b != b'\\') {
            return Err(fault(self));
        }
        self.pos += len + 2;
        Ok(String::from_utf8_lossy(inner).into_owned())
    }

    fn truth(&mut self) -> Result<bool, Fault> {
        let rest = self.rest();
        for (name, value) in [(b"True".as_slice(), true), (b"False", false)] {
            if rest.starts_with(name) {
                self.pos += name.len();
                return Ok(value);
            }
        }
        Err(("True or False", self.pos, self.escaped(self.pos)))
    }

    fn shape(&mut self) -> Result<Vec<usize>, Fault> {
        let mut shape = Vec::new();
        self.rest();
        let at = self.pos;
        self.symbol(b'(', "a tuple of whole numbers")?;
        while !self.take(b')') {
            if shape.len() == MAX_DIMS {
                return Err(("at most 64 dimensions", at, "more".to_owned()));
            }
            shape.push(self.count()?);
            if !self.take(b',') {
                // In Python, one number in parentheses is a number and not a tuple.
                self.symbol(
                    b')',
                    if shape.len() == 1 { "a comma" } else { "a comma, or the end of the tuple" },
                )?;
                if shape.len() == 1 {
                    return Err(("a tuple", at, "a number".to_owned()));
                }
                break;
            }
        }
        Ok(shape)
    }

    fn count(&mut self) -> Result<usize, Fault> {
        let rest = self.rest();
        let len = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let count = str::from_utf8(&rest[..len]).ok().and_then(|digits| digits.parse().ok());
        let count = count.ok_or_else(|| ("a whole number", self.pos, self.escaped(self.pos)))?;
        self.pos += len;
        // Python 2 writes long numbers with an L.
        self.pos += usize::from(self.text.get(self.pos) == Some(&b'L'));
        Ok(count)
    }

    fn escaped(&self, at: usize) -> String {
        crate::error::escaped(self.text.get(at..).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_all_writers_are_read() {
        for text in [
            "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }       \n",
            "{\"shape\":(3,4),\"fortran_order\":False,\"descr\":\"<f8\"}",
            "{'descr': '<f8', 'fortran_order': False, 'shape': (3L, 4L,), }",
        ] {
            let header = parse(text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
            assert_eq!(
                (header.descr.as_str(), header.fortran_order, header.shape),
                ("<f8", false, vec![3, 4])
            );
        }
        let scalar = parse(b"{'descr': '|b1', 'fortran_order': True, 'shape': ()}").ok().unwrap();
        assert!(scalar.shape.is_empty() && scalar.fortran_order);
    }

    #[test]
    fn anything_else_is_refused_with_its_offset() {
        for (text, place) in [
            ("", 0),
            ("[]", 0),
            ("{'descr': '<f8', 'fortran_order': False}", 40),
            ("{'descr': '<f8', 'descr': '<f8', 'fortran_order': False, 'shape': ()}", 17),
            ("{'descr': '<f8', 'other': 1}", 17),
            ("{'descr': [('a', '<f8')]}", 10),
            ("{'shape': (3)}", 10),
            ("{'shape': (3 4)}", 13),
            ("{'shape': (-1,)}", 11),
            ("{'shape': (99999999999999999999,)}", 11),
            ("{'fortran_order': 1}", 18),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': ()} + x", 53),
            ("{'descr': '\\x3cf8'}", 10),
        ] {
            let (expected, at, _) = parse(text.as_bytes()).err().unwrap_or_else(|| panic!("{text}"));
            assert_eq!(at, place, "{text}: {expected}");
        }
        assert!(parse(format!("{{'shape': ({})}}", "1,".repeat(65)).as_bytes()).is_err());
    }
}
