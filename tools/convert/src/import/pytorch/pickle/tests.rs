use super::*;
use crate::import::elements::Element;

fn run_bytes(program: &[u8]) -> Result<(Value, Heap), String> {
    let len = program.len() as u64;
    run(&mut Stream::new(program, len), &Budget::of(len))
}

fn refusal(program: &[u8]) -> String {
    run_bytes(program).expect_err("refused")
}

/// A persistent id and a tensor of it: storage "0" of 6 floats, [2, 3] from element 0 on.
const TENSOR: &[u8] = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(\
    (U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x06tQK\x00K\x02K\x03\x86K\x03K\x01\x86\
    \x89ccollections\nOrderedDict\n)RtR.";

#[test]
fn a_tensor() {
    let (value, heap) = run_bytes(TENSOR).unwrap();
    assert_eq!(value, Value::Tensor(0));
    let storage = Storage {
        kind: Element::F32,
        key: 1,
        len: 6,
    };
    assert_eq!(heap.storages, [storage]);
    assert_eq!(heap.key(&heap.storages[0]), "0");
    let tensor = Tensor {
        storage: 0,
        offset: 0,
        shape: vec![2, 3],
        stride: vec![3, 1],
    };
    assert_eq!(heap.tensors, [tensor]);
}

#[test]
fn containers_and_numbers() {
    let program = b"\x80\x02}q\x00(X\x01\x00\x00\x00aJ\xff\xff\xff\xffX\x01\x00\x00\x00b\
        ](K\x01M\x00\x01\x8a\x01\x80eX\x01\x00\x00\x00ch\x00u.";
    let (top, heap) = run_bytes(program).unwrap();
    let entries = heap.dict(&top).unwrap();
    let names: Vec<_> = entries.iter().map(|(key, _)| heap.text(key)).collect();
    assert_eq!(names, [Some("a"), Some("b"), Some("c")]);
    assert_eq!(entries[0].1, Value::Int(-1));
    let items = [1, 256, -128].map(Value::Int);
    assert_eq!(heap.items(&entries[1].1), Some(&items[..]));
    // A dictionary that holds itself.
    assert_eq!(entries[2].1, top);
    let pairs = b"\x80\x02ccollections\nOrderedDict\n]]K\x01aK\x02aa\x85R.";
    let (top, heap) = run_bytes(pairs).unwrap();
    assert_eq!(heap.dict(&top), Some(&[(Value::Int(1), Value::Int(2))][..]));
}

#[test]
fn whatever_calls_code_is_refused_by_name() {
    for (program, expected) in [
        (
            &b"\x80\x02cos\nsystem\nU\x04true\x85R."[..],
            "asks for os.system",
        ),
        (b"\x80\x02cposix\nsystem\n.", "asks for posix.system"),
        (b"\x80\x02cbuiltins\neval\n.", "asks for builtins.eval"),
        (
            b"\x80\x02c__builtin__\ngetattr\n.",
            "asks for __builtin__.getattr",
        ),
        (b"\x80\x02ctorch\nload\n.", "asks for torch.load"),
        (
            b"\x80\x02ctorch._utils\n_rebuild_qtensor\n.",
            "_rebuild_qtensor",
        ),
        (
            b"\x80\x02ctorch.storage\n_load_from_bytes\n.",
            "_load_from_bytes",
        ),
        (
            b"\x80\x02ccollections.OrderedDict\n__reduce__\n.",
            "__reduce__",
        ),
        (
            b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
            "asks for os.system",
        ),
        (b"\x80\x02(ios\nsystem\n.", "calls a class"),
        (b"\x80\x02(oos.", "calls a class"),
        (b"\x80\x02)\x81.", "stack is empty"),
        (b"\x80\x02K\x01)R.", "calls something other than a global"),
        (b"\x80\x02ctorch\nFloatStorage\n)R.", "with 0 arguments"),
        (b"cos\nsystem\n(S'true'\ntR.", "asks for os.system"),
        (b"(S'true'\n.", "protocol 0"),
        (b"\x80\x02\x82\x01.", "opcode 0x82"),
        (
            b"\x80\x02ccollections\nOrderedDict\n)RK\x01b.",
            "sets the state",
        ),
    ] {
        let error = refusal(program);
        assert!(
            error.starts_with("pickle, byte ") && error.contains(expected),
            "{error}"
        );
    }
}

#[test]
fn programs_that_make_no_sense() {
    for program in [
        &b""[..],
        b"\x80",
        b"\x80\x02",
        b"\x80\x01.",
        b"\x80\x06.",
        b"\x80\x02.",
        b"\x80\x02(.",
        b"\x80\x02K\x01(0.",
        b"\x80\x02t.",
        b"\x80\x02\x85.",
        b"\x80\x02h\x00.",
        b"\x80\x02K\x01q\x05.",
        b"\x80\x02}K\x01K\x02a.",
        b"\x80\x02](K\x01K\x02u.",
        b"\x80\x02}(K\x01u.",
        b"\x80\x02X\xff\xff\xff\xffa",
        b"\x80\x02X\x01\x00\x00\x00\xff.",
        b"\x80\x02K\x01Q.",
        b"\x80\x02)Q.",
        b"\x80\x02cos",
    ] {
        refusal(program);
    }
    let name = [b"\x80\x02c".as_slice(), &[b'a'; 2000]].concat();
    assert!(refusal(&name).contains("a name without an end"));
    let short = Stream::new(TENSOR, 20);
    assert!(
        run(&mut { short }, &Budget::default())
            .unwrap_err()
            .contains("ends early: it has 20 bytes")
    );
    for cut in 0..TENSOR.len() {
        refusal(&TENSOR[..cut]);
    }
}

#[test]
fn storages_and_tensors_of_other_forms() {
    let id = |id: &[u8]| refusal(&[b"\x80\x02(".as_slice(), id, b"tQ."].concat());
    for bad in [
        &b"U\x06moduleK\x01K\x02K\x03K\x04"[..],
        b"U\x07storageU\x01xU\x010U\x03cpuK\x06",
        b"U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuJ\xff\xff\xff\xff",
        b"U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x06K\x01",
        b"U\x07storage",
    ] {
        assert!(id(bad).contains("persistent id"));
    }
    let at = TENSOR.windows(2).position(|w| w == b"QK").unwrap();
    for (from, to) in [
        (&b"QK\x00"[..], &b"QNN"[..]),
        (b"K\x03K\x01\x86", b"K\x03K\x01\x85"),
    ] {
        let at = at
            + TENSOR[at..]
                .windows(from.len())
                .position(|w| w == from)
                .unwrap();
        let mut program = TENSOR.to_vec();
        program[at..at + from.len()].copy_from_slice(to);
        refusal(&program);
    }
}

#[test]
fn nesting_takes_no_stack() {
    let mut deep = b"\x80\x02)".to_vec();
    deep.resize(1 << 17, 0x85);
    deep.push(b'.');
    assert!(run_bytes(&deep).is_ok());
    // A long list, and a dictionary of it, and another, each made in a few bytes.
    let mut copies = b"\x80\x02ccollections\nOrderedDict\nq\x00]q\x01(".to_vec();
    copies.extend((0..100_000).flat_map(|_| *b"NN\x86"));
    copies.extend(b"e\x85q\x02");
    copies.extend((0..10_000).flat_map(|_| *b"h\x00h\x02R"));
    assert!(refusal(&copies).contains("bytes of memory"));
}

/// Programs that hold far more than their length. Each is refused by the budget, not run.
#[test]
fn what_a_program_holds_is_counted() {
    let repeated = |start: &[u8], step: &[u8], times: usize| {
        let mut program = [b"\x80\x02", start].concat();
        program.extend(step.repeat(times));
        program.push(b'.');
        program
    };
    let long = [b"X\x00\x00\x10\x00".as_slice(), &[b'k'; 1 << 20]].concat();
    let named = [
        b"(U\x07storagectorch\nFloatStorage\n",
        &long[..],
        b"U\x03cpuK\x06tq\x00",
    ]
    .concat();
    for (name, program) in [
        ("values", repeated(b"", b"N", 1 << 20)),
        ("marks", repeated(b"", b"(", 1 << 24)),
        ("tuples", repeated(b"", b")", 1 << 20)),
        ("lists", repeated(b"", b"]", 1 << 20)),
        ("copies of the top", repeated(b"N", b"2", 1 << 20)),
        ("memo", repeated(b"N", b"\x94", 1 << 22)),
        ("reads of the memo", repeated(b"Nq\x00", b"h\x00", 1 << 20)),
        ("texts", repeated(b"", b"U\x00", 1 << 20)),
        ("appended", repeated(b"]q\x00", b"Na", 1 << 20)),
        ("set", repeated(b"}", b"NNs", 1 << 20)),
        ("persistent ids", repeated(&named, b"h\x00Q0", 1 << 20)),
    ] {
        let error = refusal(&program);
        assert!(error.contains("bytes of memory"), "{name}: {error}");
    }
}
