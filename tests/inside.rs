//! What a program that is built on the lab gets: hosts, sockets and programs in them, counts, packets
//! that are told of, and a link that is replaced. Not run by libtest: the lab wants to be entered by the
//! program itself, from its first thread.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::process::ExitCode;
    use std::time::Duration;
    use volley::cli::{Place, lab::begin};
    use volley::lab::tap::Content;
    use volley::lab::{Host, Lab, LabLink, entrance};
    use volley::link::{Cause, Direction, Fate, LinkConfig, config::parse_drops};

    /// Only something that hangs takes this long.
    const PATIENCE: Duration = Duration::from_secs(60);

    #[expect(clippy::print_stdout, reason = "there is no libtest that prints")]
    pub(super) fn main() -> ExitCode {
        let mut words = std::env::args_os().collect();
        match begin(&mut words) {
            Err(code) => return code,
            Ok(Place::Inside) => {
                try_all();
                return ExitCode::SUCCESS;
            }
            Ok(Place::Outside) => {}
        }
        if let Err(error) = entrance::probe() {
            let must = std::env::var("VOLLEY_TEST_LAB").is_ok_and(|text| text == "must");
            println!("skipped: {error}");
            return ExitCode::from(u8::from(must));
        }
        let status = entrance::enter(&words, || None).expect("it was probed");
        println!("the lab, from inside: {status}");
        entrance::exit_code(status).into()
    }

    fn try_all() {
        let mut lab = Lab::open(&LabLink::default()).expect("it was probed");
        packets_are_told_of_and_lost_as_listed(&mut lab);
        tcp_segments_are_told_with_their_numbers(&mut lab);
        a_watch_tells_what_had_no_room(&mut lab);
        programs_run_in_hosts(&lab);
    }

    fn dropping(list: &str) -> LabLink {
        let drops = parse_drops(list).expect("a list");
        LabLink { out: LinkConfig { drops, ..LinkConfig::default() }, ..LabLink::default() }
    }

    fn udp(lab: &Lab, host: Host) -> UdpSocket {
        let address = lab.addresses(host).v4;
        let socket = lab.within(host, || UdpSocket::bind((address, 7))).expect("let in");
        let socket = socket.expect("the address is the host's");
        socket.set_read_timeout(Some(PATIENCE)).expect("not zero");
        socket
    }

    fn packets_are_told_of_and_lost_as_listed(lab: &mut Lab) {
        let watch = lab.watch(16);
        let [a, b] = Host::BOTH.map(|host| udp(lab, host));
        for list in ["2", "1"] {
            // Each link counts from 1 again.
            lab.reset(&dropping(list)).expect("as before");
            a.send_to(b"one", (lab.addresses(Host::B).v4, 7)).expect("a host");
            a.send_to(b"two", (lab.addresses(Host::B).v4, 7)).expect("a host");
            let mut buffer = [0; 9];
            let (len, from) = b.recv_from(&mut buffer).expect("one of two arrives");
            let (arrives, fates) = match list {
                "2" => (&b"one"[..], [true, false]),
                _ => (&b"two"[..], [false, true]),
            };
            assert_eq!((&buffer[..len], from.ip()), (arrives, lab.addresses(Host::A).v4.into()));
            for arrives in fates {
                let told = watch.sightings().recv_timeout(PATIENCE).expect("told of");
                let is_lost = told.fate == Fate::Lost(Cause::Listed);
                assert_eq!((told.direction, told.size, is_lost), (Direction::Out, 31, !arrives));
                let Content::Udp { ports: [7, 7], payload: 3, .. } = told.content else {
                    panic!("{told:?}")
                };
                assert!(told.at <= lab.now());
            }
            let counts = lab.counts();
            assert_eq!((counts.out.link.offered, counts.out.link.lost.listed), (2, 1));
            assert_eq!((counts.out.delivered, counts.out.delivered_bytes), (1, 31));
            assert_eq!((counts.back.link.offered, counts.out.missed, counts.out.unsent), (0, 0, 0));
        }
        assert_eq!(watch.untold(), 0);
    }

    fn tcp_segments_are_told_with_their_numbers(lab: &mut Lab) {
        lab.reset(&LabLink::default()).expect("as before");
        let watch = lab.watch(64);
        let server =
            lab.addresses(Host::B).v6.map_or_else(|| lab.addresses(Host::B).v4.into(), Into::into);
        let address = std::net::SocketAddr::new(server, 80);
        let listener = lab.within(Host::B, || TcpListener::bind(address)).expect("let in");
        let listener = listener.expect("root of the host");
        let client = lab.within(Host::A, || TcpStream::connect(address)).expect("let in");
        client.expect("there is a listener").write_all(&[7; 1000]).expect("room");
        let mut received = Vec::new();
        let (mut stream, _) = listener.accept().expect("it connected");
        stream.read_to_end(&mut received).expect("it ends");
        assert_eq!(received, [7; 1000]);
        let mut payload = 0;
        let mut first = None;
        while payload < 1000 {
            let told = watch.sightings().recv_timeout(PATIENCE).expect("told of");
            let Content::Tcp(segment) = told.content else { panic!("{told:?}") };
            if told.direction == Direction::Out {
                assert_eq!(segment.ports[1], 80);
                // SYN takes a number (RFC 9293 3.4).
                let start = *first.get_or_insert(segment.sequence.wrapping_add(1));
                if segment.payload > 0 {
                    assert_eq!(segment.sequence.wrapping_sub(start), payload);
                }
                payload += u32::try_from(segment.payload).expect("small");
            }
        }
    }

    fn a_watch_tells_what_had_no_room(lab: &mut Lab) {
        lab.reset(&LabLink::default()).expect("as before");
        let watch = lab.watch(1);
        let [a, b] = Host::BOTH.map(|host| udp(lab, host));
        for _ in 0..3 {
            a.send_to(b"x", (lab.addresses(Host::B).v4, 7)).expect("a host");
            b.recv(&mut [0; 9]).expect("it arrives");
        }
        assert_eq!((watch.sightings().try_iter().count(), watch.untold()), (1, 2));
    }

    fn programs_run_in_hosts(lab: &Lab) {
        for host in Host::BOTH {
            let mut command = lab.command(host, "cat");
            let output = command.arg("/proc/net/fib_trie").output().expect("it runs");
            let text = String::from_utf8_lossy(&output.stdout);
            let ours = format!("|-- {}\n", lab.addresses(host).v4);
            assert!(output.status.success() && text.contains(&ours), "{text}");
        }
    }
}
