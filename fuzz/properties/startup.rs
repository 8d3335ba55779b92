//! The packets ahead of all messages: a packet is told by its own bytes alone, and what is read can be written back.

use bytes::BytesMut;
use shardloom::wire::frontend;
use shardloom::wire::startup::{Packet, STARTUP_BOUND, read, write_negotiate_protocol_version};

/// Any bytes.
pub fn holds(data: &[u8]) {
    match read(data) {
        Ok(None) => {}
        Ok(Some((packet, length))) => {
            assert!((8..=STARTUP_BOUND).contains(&length) && length <= data.len());
            assert_eq!(read(&data[..length]), Ok(Some((packet.clone(), length))), "bytes behind it do not matter");
            for end in 0..length {
                assert_eq!(read(&data[..end]), Ok(None), "a part is no packet");
            }
            written_back(&packet, &data[..length]);
        }
        // What is wrong with the length alone is told early, the rest once the packet is whole.
        Err(error) => assert_eq!(read(data), Err(error)),
    }
}

fn written_back(packet: &Packet, bytes: &[u8]) {
    let mut out = BytesMut::new();
    match packet {
        Packet::Ssl | Packet::Gss => assert_eq!(bytes.len(), 8),
        Packet::Cancel { process, secret } => {
            frontend::write_cancel(&mut out, *process, secret);
            assert_eq!(out, bytes);
        }
        Packet::Start(start) => {
            let parameters: Vec<(&str, &str)> =
                start.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            frontend::write_startup(&mut out, &parameters);
            let Ok(Some((Packet::Start(again), _))) = read(&out) else { panic!("what is written is read") };
            assert_eq!(again.parameters, start.parameters);
            assert!(parameters.iter().all(|(name, _)| start.parameter(name).is_some()));
            write_negotiate_protocol_version(&mut out, start.minor, &start.unsupported_options);
        }
    }
}
