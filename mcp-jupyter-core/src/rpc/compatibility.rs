//! Whether the protocol still has all that the last tagged version had, so that peers of both understand each other.
//!
//! The released descriptors are what `build.rs` gives, under the version's name. `MCP_JUPYTER_RELEASE_PROTOCOL=1` renews
//! them, for the commit that is tagged.

use std::collections::BTreeMap;
use std::path::Path;

use prost::Message;
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet, ServiceDescriptorProto};

use super::DESCRIPTORS;

const PACKAGE: &str = "mcp_jupyter.v1";

/// All that peers rely on, one line for each thing, and the numbers and names that must not be used again.
#[derive(Debug, Default)]
struct Promises {
    lines: BTreeMap<String, String>,
    reserved: Vec<String>,
}

impl Promises {
    fn of(descriptors: &[u8]) -> Self {
        let set = FileDescriptorSet::decode(descriptors).unwrap();
        let mut promises = Self::default();
        for file in set.file.iter().filter(|file| file.package() == PACKAGE) {
            file.message_type
                .iter()
                .for_each(|message| promises.message("", message));
            file.enum_type.iter().for_each(|values| promises.values("", values));
            file.service.iter().for_each(|service| promises.service(service));
        }
        promises
    }

    fn message(&mut self, outer: &str, message: &DescriptorProto) {
        let name = format!("{outer}{}", message.name());
        for field in &message.field {
            let group = field
                .oneof_index
                .and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?));
            let group = group.map_or("", |group| group.name());
            let kind = format!(
                "{} {:?} {:?} {} {group}",
                field.name(),
                field.r#type(),
                field.label(),
                field.type_name()
            );
            self.lines.insert(format!("field {name}.{}", field.number()), kind);
        }
        for range in &message.reserved_range {
            self.reserved
                .extend((range.start()..range.end()).map(|number| format!("field {name}.{number}")));
        }
        let inner = format!("{name}.");
        message
            .nested_type
            .iter()
            .for_each(|nested| self.message(&inner, nested));
        message.enum_type.iter().for_each(|values| self.values(&inner, values));
    }

    fn values(&mut self, outer: &str, values: &EnumDescriptorProto) {
        for value in &values.value {
            let key = format!("value {outer}{}.{}", values.name(), value.number());
            self.lines.insert(key, value.name().to_owned());
        }
    }

    fn service(&mut self, service: &ServiceDescriptorProto) {
        for method in &service.method {
            let streams = (method.client_streaming(), method.server_streaming());
            let kind = format!("{} -> {} {streams:?}", method.input_type(), method.output_type());
            self.lines
                .insert(format!("method {}.{}", service.name(), method.name()), kind);
        }
    }

    /// What of these is missing or means something else in the newer ones.
    fn broken_by(&self, newer: &Self) -> Vec<String> {
        let is_kept = |key: &String, kind: &String| newer.lines.get(key) == Some(kind);
        let is_given_up = |key: &String| newer.reserved.contains(key) && !newer.lines.contains_key(key);
        let broken = self
            .lines
            .iter()
            .filter(|(key, kind)| !is_kept(key, kind) && !is_given_up(key));
        let broken = broken.map(|(key, kind)| format!("{key}: {kind}, now {:?}", newer.lines.get(key)));
        let reused = self.reserved.iter().filter(|key| newer.lines.contains_key(*key));
        broken.chain(reused.map(|key| format!("{key} is used again"))).collect()
    }
}

#[test]
fn the_released_protocol_is_still_there() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("proto/released/v1.bin");
    if std::env::var_os("MCP_JUPYTER_RELEASE_PROTOCOL").is_some() {
        std::fs::write(&path, DESCRIPTORS).unwrap();
    }
    let released = Promises::of(&std::fs::read(&path).unwrap());
    assert!(released.lines.len() > 200, "{}", released.lines.len());
    let broken = released.broken_by(&Promises::of(DESCRIPTORS));
    assert!(
        broken.is_empty(),
        "peers of the last version would break:\n{}",
        broken.join("\n")
    );
}

#[test]
fn what_breaks_peers_is_found() {
    let changed = |change: fn(&mut DescriptorProto)| {
        let mut set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
        let files = set.file.iter_mut().flat_map(|file| &mut file.message_type);
        let mut messages = files.filter(|message| message.name() == "Dispatch");
        change(messages.next().unwrap());
        Promises::of(DESCRIPTORS).broken_by(&Promises::of(&set.encode_to_vec()))
    };
    assert_eq!(changed(|_| {}), Vec::<String>::new());
    assert_eq!(changed(|message| drop(message.field.pop())).len(), 1);
    assert_eq!(
        changed(|message| message.field[0].set_type(prost_types::field_descriptor_proto::Type::Bytes)).len(),
        1
    );
    assert_eq!(changed(|message| message.field[0].number = Some(77)).len(), 1);
    let given_up = changed(|message| {
        let number = message.field.pop().unwrap().number();
        message
            .reserved_range
            .push(prost_types::descriptor_proto::ReservedRange {
                start: Some(number),
                end: Some(number + 1),
            });
    });
    assert_eq!(given_up, Vec::<String>::new());
}
