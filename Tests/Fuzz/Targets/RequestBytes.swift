import LeaseModel

@testable import Coordinator
@testable import HTTP

/// The bytes of one connection: the same requests or refusals however they are cut into packets, each request sound, judged
/// by who sent it alone, and answered with one message.
enum RequestBytes {
    private static let limits = HTTPLimits()
    private static let token = "lh_right"
    private static let guarded = Access(
        tokens: TokenList([TokenEntry(name: "right", roles: [.client], digest: TokenDigest(of: token))]))
    private static let open = Access(tokens: nil)

    private enum Reading: Equatable {
        case request(HTTPRequest, AnswerForm)
        case wantsContinue
        case refused(Refusal)

        static func == (left: Reading, right: Reading) -> Bool {
            switch (left, right) {
            case (.request(let one, let form), .request(let other, let otherForm)):
                form == otherForm && one.method == other.method && one.path == other.path && one.body == other.body
                    && one.headers == other.headers && one.query.elementsEqual(other.query, by: ==)
            case (.wantsContinue, .wantsContinue): true
            case (.refused(let one), .refused(let other)): one == other
            default: false
            }
        }
    }

    static func look(at bytes: [UInt8]) throws {
        let whole = try read(bytes, packets: max(1, bytes.count))
        let cut = try read(bytes, packets: Int(bytes.last ?? 0) % 16 + 1)
        try kept(agree(whole, cut), "cut into packets it reads as \(cut), in one as \(whole)")
        for case .request(let request, let form) in whole {
            try lookAtParts(of: request)
            try judge(request, form)
        }
    }

    private static func read(_ bytes: [UInt8], packets: Int) throws -> [Reading] {
        let parser = RequestParser(limits: limits, peer: "127.0.0.1:1")
        var readings: [Reading] = []
        var start = 0
        while start < bytes.count {
            let end = min(start + packets, bytes.count)
            while start < end {
                var consumed = 0
                let outcome = bytes[start..<end].withUnsafeBytes { parser.read($0, consumed: &consumed) }
                start += consumed
                switch outcome {
                case .needsMore: try kept(start == end, "a parser that needs more has read what is there")
                case .wantsContinue: readings.append(.wantsContinue)
                case .request(let request, let form):
                    readings.append(.request(request, form))
                    if !form.keepsAlive { return readings }  // a server reads nothing after it
                case .refused(let refusal): return readings + [.refused(refusal)]
                }
            }
        }
        return readings
    }

    /// Where a request breaks two rules at once, a part that is counted before all of it is seen may let a bound speak
    /// first.
    private static func agree(_ whole: [Reading], _ cut: [Reading]) -> Bool {
        if whole == cut { return true }
        guard whole.dropLast() == cut.dropLast(), case .refused(let one)? = whole.last,
            case .refused(let other)? = cut.last
        else { return false }
        let bounds: [Refusal] = [.headTooLarge, .targetTooLong, .bodyTooLarge]
        return bounds.contains(one) || bounds.contains(other)
    }

    private static func lookAtParts(of request: HTTPRequest) throws {
        try kept(
            (request.path.hasPrefix("/") || request.path == "*") && !request.path.utf8.contains(0),
            "the path \(request.path)")
        try kept(
            request.headers.count <= limits.headerFields && request.body.count <= limits.bodyBytes
                && request.headers.values(of: "host").count <= 1, "a bound is not kept")
        for field in request.headers {
            try kept(
                !field.name.isEmpty && field.name.utf8.allSatisfy(HTTPHeaders.isToken)
                    && !field.value.utf8.contains { $0 == 0 || $0 == 0x0A || $0 == 0x0D }, "the field \(field)")
        }
    }

    private static func judge(_ request: HTTPRequest, _ form: AnswerForm) throws {
        let route = Route.at(request.path)
        let question = AccessRequest(request, permission: route?.permission)
        for access in [guarded, open] {
            let verdict = access.judge(question)
            if case .allowed(let caller, _) = verdict, question.changesState, let origin = question.origin {
                try kept(
                    WebOrigin(origin).map { isHere($0, question) } ?? false, "\(origin) got in as \(caller)")
            }
            if case .refused(let refusal, let cors) = verdict {
                var response = refusal.response()
                BrowserHeaders.add(to: &response.headers, cors: cors)
                try Answers.hold(response, form, isWhole: refusal.message)
            } else if request.method == .options {
                let answer = BrowserHeaders.answerToOptions(request, allowed: route?.allowed, cors: question.origin)
                try Answers.hold(answer, form, isWhole: "a preflight's answer")
            }
        }
        if case .allowed = guarded.judge(question), let permission = route?.permission, request.method != .options {
            let sent = request.headers.values(of: "Authorization")
            try kept(
                sent.count == 1 && sent[0].hasSuffix(token) && (permission == .view || permission == .lock),
                "\(sent) opened \(permission)")
        }
        if route?.method == .post { try Bodies.look(at: request.body) }
    }

    /// Whether pages of that origin may call: this machine's, or the coordinator's own.
    private static func isHere(_ origin: WebOrigin, _ question: AccessRequest) -> Bool {
        if HostRules.isLoopback(origin.host[...]) { return true }
        return question.host.flatMap { WebOrigin(scheme: origin.scheme, authority: $0) } == origin
    }
}
