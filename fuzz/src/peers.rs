//! What other servers say, on both of their ports: greetings, votes and packets, however their bytes are divided.

use bytes::BytesMut;
use paddock::net::peers::limits::GREETING_ADDRESS_BYTES_MAX;
use paddock::net::peers::{Greeting, Notifications, PacketDecoder, notification_frame, take_notifications};
use paddock::zab::{Packet, PacketError};

/// Content of a packet, bytes.
const DATA_BYTES_MAX: usize = 1 << 12;

/// The first byte says which port, the second how many bytes come at once.
pub fn run(data: &[u8]) {
    let [which, chunk, bytes @ ..] = data else { return };
    let chunk = 1 + usize::from(*chunk);
    match which % 3 {
        0 => greeting(bytes),
        1 => votes(bytes, chunk),
        _ => packets(bytes, chunk),
    }
}

fn greeting(bytes: &[u8]) {
    let Ok(Some((greeting, length))) = Greeting::decode(bytes) else { return };
    assert!(length <= bytes.len());
    for shorter in 0..length {
        assert_eq!(Greeting::decode(&bytes[..shorter]), Ok(None), "a part of it needs more");
    }
    let again = greeting.encode(true);
    if !greeting.addresses.is_empty() && again.len() <= GREETING_ADDRESS_BYTES_MAX {
        assert_eq!(Greeting::decode(&again), Ok(Some((greeting, again.len()))));
    }
}

fn votes(bytes: &[u8], chunk: usize) {
    let whole = take_notifications(&mut BytesMut::from(bytes));
    let (mut buffer, mut parts) = (BytesMut::new(), Notifications::default());
    for chunk in bytes.chunks(chunk) {
        buffer.extend_from_slice(chunk);
        let Notifications { newest, skipped, bad_length } = take_notifications(&mut buffer);
        parts.newest = newest.or(parts.newest);
        parts.skipped = skipped.or(parts.skipped);
        parts.bad_length = bad_length;
        if bad_length.is_some() {
            break;
        }
    }
    assert_eq!(parts, whole);
    let Some(newest) = whole.newest else { return };
    // What is written again has the newest form.
    let frame = notification_frame(&newest);
    let again = take_notifications(&mut BytesMut::from(&frame[..])).newest.expect("it was one");
    assert_eq!((again.state, again.vote, again.election_epoch), (newest.state, newest.vote, newest.election_epoch));
    assert_eq!(again.config.unwrap_or_default(), newest.config.unwrap_or_default());
}

fn decoded<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<Packet>, Option<PacketError>) {
    let (mut decoder, mut packets) = (PacketDecoder::new(DATA_BYTES_MAX), Vec::new());
    for chunk in chunks {
        decoder.buffer().extend_from_slice(chunk);
        loop {
            match decoder.packet() {
                Ok(Some(packet)) => packets.push(packet),
                Ok(None) => break,
                Err(error) => return (packets, Some(error)),
            }
        }
    }
    (packets, None)
}

fn packets(bytes: &[u8], chunk: usize) {
    let (packets, error) = decoded(std::iter::once(bytes));
    assert_eq!(decoded(bytes.chunks(chunk)), (packets.clone(), error));
    let encoded = |packets: &[Packet]| {
        let mut bytes = Vec::new();
        packets.iter().for_each(|packet| packet.encode(&mut bytes));
        bytes
    };
    let bytes = encoded(&packets);
    let (again, error) = decoded(std::iter::once(&bytes[..]));
    assert_eq!((again.len(), error), (packets.len(), None), "what was read can be written");
    // A code point above U+FFFF leaves as two surrogates, which Java and we read as two replacement characters: that is stable.
    let bytes = encoded(&again);
    assert_eq!(encoded(&decoded(std::iter::once(&bytes[..])).0), bytes, "and says the same");
}
