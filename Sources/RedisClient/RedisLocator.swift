import EventLoop

/// Finds the server that an endpoint means, by asking sentinels or the nodes of a cluster where that can change.
///
/// They are asked one after the other, beginning with the one whose word led to a server last.
/// `@unchecked Sendable` holds because it is used on the loop's thread alone.
final class RedisLocator: @unchecked Sendable {
    enum Finding {
        case server(RedisEndpoint.Address)
        /// Nobody who was asked knows one now.
        case none(String)
        /// Who was asked does not take the question.
        case refused(String)
    }

    private enum Answer {
        case master(RedisEndpoint.Address)
        case silence(String)
        case refusal(String)
    }

    private let loop: EventLoop
    private let endpoint: RedisEndpoint
    private let settings: RedisSettings
    /// Whom to ask first.
    private var lead: RedisEndpoint.Address?
    /// The masters of a cluster, as its last answer had them.
    private var masters: [RedisEndpoint.Address] = []
    private var named: RedisEndpoint.Address?
    private var question: RedisQuestion?
    private var looks = 0

    init(loop: EventLoop, endpoint: RedisEndpoint, settings: RedisSettings) {
        self.loop = loop
        self.endpoint = endpoint
        self.settings = settings
        // Many clients do not all begin with the same one.
        lead = configured.randomElement()
    }

    /// Whether it is always the same server.
    var isFixed: Bool { configured.isEmpty }

    private var configured: [RedisEndpoint.Address] {
        switch endpoint.target {
        case .server: []
        case .sentinels(let sentinels): sentinels.nodes
        case .cluster(let seeds): seeds
        }
    }

    private var nodes: [RedisEndpoint.Address] { masters + configured.filter { !masters.contains($0) } }

    // MARK: Finding

    /// Tells the server, inside this call where there is nobody to ask, and not at all after `cancel`.
    func find(_ tell: @escaping (Finding) -> Void) {
        cancel()
        if case .server(let address) = endpoint.target { return tell(.server(address)) }
        if let named {
            self.named = nil
            return tell(.server(named))
        }
        let nodes = nodes
        let begin = nodes.firstIndex { $0 == lead } ?? 0
        poll(nodes[begin...] + nodes[..<begin], untilFirst: true) { [weak self] answers in
            guard let self else { return }
            var silence: String?
            var refusal: String?
            for (node, answer) in answers {
                switch answer {
                case .master(let address):
                    self.lead = node
                    return tell(.server(address))
                case .silence(let why): silence = silence ?? why
                case .refusal(let why): refusal = refusal ?? why
                }
            }
            tell(silence.map { .none($0) } ?? .refused(refusal ?? "nobody to ask"))
        }
    }

    /// Who was asked last led to a server that does not serve: the next time somebody else is asked first.
    func doubt() {
        let nodes = nodes
        guard let index = nodes.firstIndex(where: { $0 == lead }) else { return }
        lead = nodes[(index + 1) % nodes.count]
    }

    /// The next search finds this server, without asking.
    func name(_ address: RedisEndpoint.Address) { named = address }

    func cancel() {
        question?.cancel()
        question = nil
    }

    // MARK: Looking again

    /// Asks whether `current` is still the server that is meant; not told after `cancel`.
    ///
    /// One is asked, in turn; only where that one names another server are all asked, and followed where more than half
    /// name that one: a single sentinel that was cut off must not draw anybody away.
    func look(at current: RedisEndpoint.Address, isStillMeant tell: @escaping (Bool) -> Void) {
        let nodes = masters.isEmpty ? configured : masters
        looks += 1
        let node = nodes[looks % nodes.count]
        poll([node], untilFirst: true) { [weak self] answers in
            guard let self, case .master(let other)? = answers.first?.answer, other != current else {
                return tell(true)
            }
            self.poll(nodes.filter { $0 != node }[...], untilFirst: false) { [weak self] answers in
                guard let self else { return }
                let agreeing = answers.filter { if case .master(other) = $0.answer { true } else { false } }
                guard (agreeing.count + 1) * 2 > nodes.count else { return tell(true) }
                self.lead = node
                tell(false)
            }
        }
    }

    // MARK: Asking

    private func poll(
        _ nodes: ArraySlice<RedisEndpoint.Address>, untilFirst: Bool,
        _ answers: [(node: RedisEndpoint.Address, answer: Answer)] = [],
        then tell: @escaping ([(node: RedisEndpoint.Address, answer: Answer)]) -> Void
    ) {
        guard let node = nodes.first else { return tell(answers) }
        let question = question(to: node)
        self.question = question
        question.ask(node, within: settings.askDeadline) { [weak self] outcome in
            guard let self else { return }
            self.question = nil
            let answer = self.read(outcome, of: node)
            let answers = answers + [(node, answer)]
            if untilFirst, case .master = answer { return tell(answers) }
            self.poll(nodes.dropFirst(), untilFirst: untilFirst, answers, then: tell)
        }
    }

    private func question(to node: RedisEndpoint.Address) -> RedisQuestion {
        switch endpoint.target {
        case .sentinels(let sentinels):
            RedisQuestion(
                loop: loop, user: sentinels.user, password: sentinels.password,
                command: ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", .text(sentinels.master)])
        case .server, .cluster:
            RedisQuestion(
                loop: loop, user: endpoint.user, password: endpoint.password, command: ["CLUSTER", "SLOTS"])
        }
    }

    private func read(_ outcome: Result<RedisReply, RedisError>, of node: RedisEndpoint.Address) -> Answer {
        switch outcome {
        case .failure(let error) where error.kind == .server: return Self.judge(error.message, node, endpoint.target)
        case .failure(let error): return .silence("\(node): \(error.message)")
        case .success(let reply):
            if case .sentinels(let sentinels) = endpoint.target {
                guard let address = Self.address(reply.array ?? [], from: node) else {
                    return .refusal("the sentinel at \(node) knows no master \(sentinels.master): check the name")
                }
                return .master(address)
            }
            let ranges = ClusterMap(reply, from: node)
            masters = ranges.masters
            let slot = ClusterSlot.slot(of: endpoint.slotKey)
            return ranges.master(of: slot).map { .master($0) }
                ?? .silence("the cluster, asked at \(node), has no master for slot \(slot)")
        }
    }

    private static func judge(
        _ message: String, _ node: RedisEndpoint.Address, _ target: RedisEndpoint.Target
    ) -> Answer {
        let isCluster = if case .cluster = target { true } else { false }
        switch message.prefix(while: { $0 != " " }) {
        case "LOADING", "BUSY": return .silence("\(node): \(message)")
        case "WRONGPASS", "NOAUTH":
            let remedy =
                isCluster
                ? "put user and password into its address" : "put sentinel-user and sentinel-password into its address"
            return .refusal("\(node) refuses the log-in (\(message)): \(remedy)")
        case "NOPERM":
            return .refusal("\(node) does not let this user ask (\(message)): allow it the command")
        default:
            return .refusal("\(node) is no \(isCluster ? "node of a cluster" : "sentinel"): \(message)")
        }
    }

    /// Host and port as the first two of a node's words; one that does not know its own host means the one asked.
    fileprivate static func address(
        _ words: [RedisReply], from asked: RedisEndpoint.Address
    ) -> RedisEndpoint.Address? {
        guard words.count >= 2, let port = words[1].integer, (1...65535).contains(port) else { return nil }
        if let host = words[0].text, !host.isEmpty, host != "?" { return .tcp(host: host, port: Int(port)) }
        guard case .tcp(let host, _) = asked else { return nil }
        return .tcp(host: host, port: Int(port))
    }
}

/// Which master has which slots, from the answer to CLUSTER SLOTS.
private struct ClusterMap {
    private var ranges: [(slots: ClosedRange<Int64>, master: RedisEndpoint.Address)] = []

    init(_ reply: RedisReply, from asked: RedisEndpoint.Address) {
        for range in reply.array ?? [] {
            guard let words = range.array, words.count >= 3, let first = words[0].integer, let last = words[1].integer,
                first <= last, let master = RedisLocator.address(words[2].array ?? [], from: asked)
            else { continue }
            ranges.append((first...last, master))
        }
    }

    func master(of slot: Int) -> RedisEndpoint.Address? { ranges.first { $0.slots.contains(Int64(slot)) }?.master }

    var masters: [RedisEndpoint.Address] {
        var masters: [RedisEndpoint.Address] = []
        for range in ranges where !masters.contains(range.master) { masters.append(range.master) }
        return masters
    }
}
