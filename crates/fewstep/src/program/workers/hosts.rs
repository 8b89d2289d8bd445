//! The lists in SLURM's variables: of hosts, and of tasks per node.

/// The first host of a list such as `gpu[03-07,12],login1`.
pub(super) fn first_host(list: &str) -> Option<String> {
    let list = list.trim();
    let end = list.find(['[', ',']).unwrap_or(list.len());
    let name = list.get(..end)?;
    let Some(bracket) = list.get(end..).and_then(|rest| rest.strip_prefix('[')) else {
        return (!name.is_empty()).then(|| name.to_owned());
    };
    let (numbers, after) = bracket.split_once(']')?;
    let first = numbers.split([',', '-']).next().filter(|first| !first.is_empty())?;
    // A name may go on after its number, and even have a second one.
    let rest = after.split(',').next().unwrap_or_default();
    first_host(&format!("{name}{first}{rest}"))
}

/// Tasks of node `node` in a list such as `2(x3),1`.
pub(super) fn tasks_of(list: &str, node: usize) -> Option<usize> {
    let mut before = 0;
    for entry in list.split(',') {
        let (tasks, times) = match entry.trim().split_once("(x") {
            Some((tasks, times)) => (tasks, times.strip_suffix(')')?.parse().ok()?),
            None => (entry.trim(), 1),
        };
        before += times;
        if node < before {
            return tasks.parse().ok();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_every_form_of_list_is_found() {
        for (list, first) in [
            ("node7", "node7"),
            ("node7,node8", "node7"),
            ("gpu[03-07,12],login1", "gpu03"),
            ("gpu[12,14]", "gpu12"),
            ("rack[1-2]-gpu[05-08],x", "rack1-gpu05"),
            ("a[1-3].cluster", "a1.cluster"),
        ] {
            assert_eq!(first_host(list).as_deref(), Some(first), "{list}");
        }
        for list in ["", "[", "a[1", "a[]"] {
            assert_eq!(first_host(list), None, "{list}");
        }
    }

    #[test]
    fn tasks_are_counted_per_node() {
        let of = |node| tasks_of("2(x3),1", node);
        assert_eq!([of(0), of(2), of(3), of(4)], [Some(2), Some(2), Some(1), None]);
        assert_eq!((tasks_of("4", 0), tasks_of("x", 0), tasks_of("2(x", 0)), (Some(4), None, None));
    }
}
