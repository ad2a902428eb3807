use std::{boxed::Box, collections::BTreeMap, format, vec, vec::Vec};

use proptest::prelude::*;

use super::{KeyValue, MAX_KEY_BYTES, MAX_VALUE_BYTES, SetError, Slot};

type Store = KeyValue<Box<[u8]>, Box<[Slot]>>;
type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn store(bytes: usize, slots: usize) -> Store {
    // The memory need not be clean.
    let bytes = vec![0xa5; bytes].into_boxed_slice();
    KeyValue::new(bytes, vec![Slot::VACANT; slots].into_boxed_slice())
}

fn snapshot(store: &Store) -> Vec<u8> {
    let mut sink = Box::new(heapless::Vec::<u8, 65_536>::new());
    store.snapshot(&mut *sink).unwrap();
    sink.to_vec()
}

fn used(model: &Model) -> usize {
    model.iter().map(|(key, value)| 4 + key.len() + value.len()).sum()
}

/// What the documentation says that `set` does.
fn set_model(model: &mut Model, store: &Store, key: &[u8], value: &[u8]) -> Result<(), SetError> {
    if key.len() > MAX_KEY_BYTES {
        return Err(SetError::KeyTooLong);
    }
    if value.len() > MAX_VALUE_BYTES {
        return Err(SetError::ValueTooLong);
    }
    if !model.contains_key(key) && model.len() == store.capacity_keys() {
        return Err(SetError::TooManyKeys);
    }
    let mut after = model.clone();
    after.insert(key.to_vec(), value.to_vec());
    if used(&after) > store.capacity_bytes() {
        return Err(SetError::OutOfSpace);
    }
    *model = after;
    Ok(())
}

fn check(store: &Store, model: &Model) {
    assert_eq!(store.len(), model.len());
    assert_eq!(store.is_empty(), model.is_empty());
    assert_eq!(store.used_bytes(), used(model));
    assert!(store.iter().eq(model.iter().map(|(k, v)| (k.as_slice(), v.as_slice()))));
}

#[derive(Clone, Debug)]
enum Step {
    Set(Vec<u8>, Vec<u8>),
    Delete(Vec<u8>),
}

fn any_step() -> impl Strategy<Value = Step> {
    let key = || prop::collection::vec(0_u8..4, 0..4);
    let value = prop::collection::vec(any::<u8>(), 0..24);
    prop_oneof![
        3 => (key(), value).prop_map(|(key, value)| Step::Set(key, value)),
        1 => key().prop_map(Step::Delete),
    ]
}

proptest! {
    #![proptest_config(crate::seeded())]

    #[test]
    fn the_store_is_a_map_with_a_limit(
        bytes in 0_usize..400,
        slots in 0_usize..24,
        steps in prop::collection::vec(any_step(), 0..200),
    ) {
        let mut store = store(bytes, slots);
        let mut model = Model::new();
        for step in &steps {
            match step {
                Step::Set(key, value) => {
                    let expected = set_model(&mut model, &store, key, value);
                    prop_assert_eq!(store.set(key, value), expected);
                    prop_assert_eq!(store.get(key), model.get(key).map(Vec::as_slice));
                }
                Step::Delete(key) => {
                    prop_assert_eq!(store.delete(key), model.remove(key).is_some());
                    prop_assert_eq!(store.get(key), None);
                }
            }
            check(&store, &model);
        }
    }

    #[test]
    fn the_snapshot_does_not_tell_the_history(
        steps in prop::collection::vec(any_step(), 0..100),
    ) {
        let mut lived = store(600, 32);
        for step in &steps {
            match step {
                Step::Set(key, value) => drop(lived.set(key, value)),
                Step::Delete(key) => drop(lived.delete(key)),
            }
        }
        let mut fresh = store(600, 32);
        let pairs: Vec<_> = lived.iter().map(|(k, v)| (k.to_vec(), v.to_vec())).collect();
        for (key, value) in pairs.iter().rev() {
            fresh.set(key, value).unwrap();
        }
        prop_assert_eq!(snapshot(&lived), snapshot(&fresh));
        let mut restored = store(600, 32);
        restored.restore(&mut snapshot(&lived).as_slice()).unwrap();
        prop_assert_eq!(snapshot(&lived), snapshot(&restored));
        prop_assert_eq!(lived.used_bytes(), restored.used_bytes());
    }

    #[test]
    fn bytes_that_are_no_snapshot_leave_the_store_empty(
        mut bytes in prop::collection::vec(0_u8..6, 0..60),
        plausible in any::<bool>(),
    ) {
        if plausible && bytes.len() >= 4 {
            bytes[1..4].fill(0);
        }
        let mut store = store(100, 4);
        store.set(b"k", b"v").unwrap();
        if store.restore(&mut bytes.as_slice()).is_err() {
            prop_assert!(store.is_empty());
            prop_assert_eq!(store.used_bytes(), 0);
        } else {
            prop_assert!(bytes.starts_with(&snapshot(&store)));
        }
    }
}

#[test]
fn keys_and_values_of_the_largest_size_are_kept_and_larger_ones_refused() {
    let mut store = store(16_384, 4);
    let (key, value) = ([7; MAX_KEY_BYTES + 1], [9; MAX_VALUE_BYTES + 1]);
    store.set(&key[..MAX_KEY_BYTES], &value[..MAX_VALUE_BYTES]).unwrap();
    assert_eq!(store.get(&key[..MAX_KEY_BYTES]), Some(&value[..MAX_VALUE_BYTES]));
    let before = snapshot(&store);
    assert_eq!(store.set(&key, b""), Err(SetError::KeyTooLong));
    assert_eq!(store.set(b"", &value), Err(SetError::ValueTooLong));
    assert_eq!(store.set(&key[..MAX_KEY_BYTES], &value), Err(SetError::ValueTooLong));
    assert_eq!(store.get(&key), None);
    assert!(!store.delete(&key));
    assert_eq!(snapshot(&store), before);
    let mut restored = super::tests::store(16_384, 4);
    restored.restore(&mut before.as_slice()).unwrap();
    assert_eq!(snapshot(&restored), before);
}

#[test]
fn an_empty_key_and_an_empty_value_are_a_key_and_a_value() {
    let mut store = store(64, 2);
    store.set(b"", b"").unwrap();
    assert_eq!(store.get(b""), Some(&b""[..]));
    assert!(store.delete(b""));
    assert_eq!(store.get(b""), None);
}

#[test]
fn a_full_index_takes_new_values_but_no_new_key() {
    let mut store = store(400, 3);
    for key in [b"b", b"a", b"c"] {
        store.set(key, b"1").unwrap();
    }
    let before = snapshot(&store);
    assert_eq!(store.set(b"d", b"1"), Err(SetError::TooManyKeys));
    assert_eq!(snapshot(&store), before);
    store.set(b"a", b"longer").unwrap();
    assert!(store.delete(b"b"));
    store.set(b"d", b"1").unwrap();
    assert_eq!(store.get(b"a"), Some(&b"longer"[..]));
}

#[test]
fn a_full_arena_takes_what_is_no_larger() {
    let mut store = store(80, 8);
    assert_eq!(store.capacity_bytes(), 70);
    store.set(b"a", &[1; 30]).unwrap();
    store.set(b"b", &[2; 30]).unwrap();
    assert_eq!(store.used_bytes(), 70);
    let before = snapshot(&store);
    assert_eq!(store.set(b"b", &[3; 31]), Err(SetError::OutOfSpace));
    assert_eq!(store.set(b"", b""), Err(SetError::OutOfSpace));
    assert_eq!(snapshot(&store), before);
    for round in 0..100 {
        store.set(b"b", &[round; 30]).unwrap();
        store.set(b"a", &[round; 29]).unwrap();
        store.set(b"a", &[round; 30]).unwrap();
    }
    assert_eq!(store.get(b"b"), Some(&[99; 30][..]));
    assert!(store.delete(b"a"));
    store.set(b"b", &[4; 65]).unwrap();
    assert_eq!(store.used_bytes(), 70);
}

#[test]
fn deleting_and_setting_for_ever_does_not_fragment() {
    let mut store = store(1024, 32);
    let mut model = Model::new();
    for round in 0_usize..20_000 {
        let key = format!("key {}", round * 7 % 31).into_bytes();
        let value = vec![u8::try_from(round % 256).unwrap(); round * 13 % 40];
        if round % 3 == 0 {
            assert_eq!(store.delete(&key), model.remove(&key).is_some());
        } else {
            let expected = set_model(&mut model, &store, &key, &value);
            assert_eq!(store.set(&key, &value), expected);
        }
    }
    check(&store, &model);
    for key in model.keys() {
        assert!(store.delete(key));
    }
    assert_eq!(store.used_bytes(), 0);
    store.set(b"k", &[5; 891]).unwrap();
    assert_eq!(store.used_bytes(), store.capacity_bytes());
}

#[test]
fn a_store_without_memory_refuses_and_does_not_fail() {
    let mut none = store(0, 0);
    assert_eq!(none.set(b"", b""), Err(SetError::TooManyKeys));
    assert!(!none.delete(b""));
    assert_eq!(snapshot(&none), [0; 4]);
    none.restore(&mut [0; 4].as_slice()).unwrap();
    assert_eq!(store(0, 4).set(b"", b""), Err(SetError::OutOfSpace));
    for bytes in 1..16 {
        let mut store = store(bytes, 4);
        let fits = store.capacity_bytes() >= 5;
        assert_eq!(store.set(b"k", b"").is_ok(), fits, "{bytes}");
    }
}

#[test]
fn keys_out_of_order_or_twice_are_no_snapshot() {
    let mut two = store(100, 4);
    for order in [[b'a', b'b'], [b'b', b'a'], [b'a', b'a']] {
        let [first, second] = order;
        let bytes = [2, 0, 0, 0, 1, 0, 0, first, 1, 0, 0, second];
        assert_eq!(two.restore(&mut bytes.as_slice()).is_ok(), first < second);
    }
}

#[test]
fn a_snapshot_past_the_capacity_is_refused() {
    let mut large = store(400, 8);
    for key in [b"a", b"b", b"c"] {
        large.set(key, &[1; 30]).unwrap();
    }
    let bytes = snapshot(&large);
    assert!(store(120, 3).restore(&mut bytes.as_slice()).is_ok());
    assert!(store(119, 3).restore(&mut bytes.as_slice()).is_err());
    assert!(store(120, 2).restore(&mut bytes.as_slice()).is_err());
}
