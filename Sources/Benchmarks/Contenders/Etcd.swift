import LoadGenerator

/// etcd's lock service over its HTTP gateway, one member with the settings it comes with.
struct Etcd: Contender {
    let name = "etcd lock, HTTP"
    let ground: Ground
    let port: Int
    let servers: [Server]

    static func start(on ground: Ground) async throws -> Etcd {
        guard Ground.find("/usr/bin/etcd") != nil else { throw LoadError("etcd-server is not installed") }
        let (port, peerPort) = (try Host.freePort(), try Host.freePort())
        let (client, peer) = ("http://127.0.0.1:\(port)", "http://127.0.0.1:\(peerPort)")
        let server = try await ground.start(
            "etcd",
            [
                "/usr/bin/etcd", "--data-dir", try ground.room("etcd"), "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", "default=\(peer)",
            ], ready: .loopback(port: port))
        return Etcd(ground: ground, port: port, servers: [server])
    }

    func run(_ workload: LockWorkload) async throws -> RushResult {
        try await rush(workload, to: .loopback(port: port), on: ground) { client in
            EtcdDialogue(name: Base64.text("bench-\(workload.isOneLock ? 0 : client)"))
        }
    }
}

/// RFC 4648.
enum Base64 {
    private static let letters = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")

    static func text(_ plain: String) -> String {
        let bytes = Array(plain.utf8)
        var text = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = (group + Array(repeating: 0, count: 3 - group.count)).reduce(0) { $0 << 8 | Int($1) }
            for place in 0..<4 {
                text.append(place <= group.count ? letters[bits >> (18 - 6 * place) & 63] : "=")
            }
        }
        return text
    }
}
