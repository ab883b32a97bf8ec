import HTTP
import JSON
import LeaseModel

/// Why a request is not served. Every text that access control sends to a client stands here.
enum AccessRefusal: Hashable, Sendable {
    case noToken, malformedToken, unknownToken
    /// A good certificate, whose subject stands in no line of the token file.
    case unknownSubject(String)
    /// A user of this machine that no `--socket-role` names.
    case noSocketRole(String)
    /// A proxy speaks on the socket for somebody else, and there are no tokens.
    case forwarded
    /// Without tokens only this machine may call.
    case notThisMachine
    case role(caller: String, roles: Roles, needs: Role)
    case otherPool(caller: String, theirs: String, ours: String)
    case foreignID(caller: String, prefix: String)
    /// A page of an origin that is not on the list; its name as the browser told it.
    case wrongOrigin(String)
    /// A browser says that a page of another site is behind this, without naming it.
    case crossSite
    case wrongHost(String)
    case tooManyRequests(retryAfter: Duration)
    case tooManyWaiting(limit: Int)
    case tooManyLeases(limit: Int)
    case tooManyStreams(limit: Int)

    var status: Int {
        switch self {
        case .noToken, .malformedToken, .unknownToken, .unknownSubject, .notThisMachine, .forwarded: 401
        case .noSocketRole, .role, .otherPool, .foreignID, .wrongOrigin, .crossSite, .wrongHost: 403
        case .tooManyRequests, .tooManyWaiting, .tooManyLeases, .tooManyStreams: 429
        }
    }

    /// The stable word for programs. That of 401 is the original bridge's own.
    var word: String {
        switch self {
        case .noToken, .malformedToken, .unknownToken, .unknownSubject, .notThisMachine, .forwarded:
            "Unauthorized. Invalid Token."
        case .noSocketRole, .role, .otherPool, .foreignID: "forbidden"
        case .wrongOrigin, .crossSite: "wrong_origin"
        case .wrongHost: "wrong_host"
        case .tooManyRequests: "too_many_requests"
        case .tooManyWaiting: "too_many_waiting"
        case .tooManyLeases: "too_many_leases"
        case .tooManyStreams: "too_many_streams"
        }
    }

    /// The sentence for people: what is wrong and what to do.
    var message: String {
        switch self {
        case .noToken:
            "A token is needed. Send the header Authorization: Bearer TOKEN; who runs this coordinator makes tokens "
                + "with \"leasehold token create\"."
        case .malformedToken:
            "The Authorization header is not of the form Bearer TOKEN. Send that, with one blank in between."
        case .unknownToken:
            "This token is not known here: it was mistyped, cut or revoked. Ask who runs this coordinator for another."
        case .unknownSubject(let subject):
            "The certificate is good, but nobody is known here by its subject \(TokenFile.quoted(subject)). Who runs this "
                + "coordinator can add it with \"leasehold token create NAME --subject\"; or send a token."
        case .noSocketRole(let user):
            "\"\(user)\" has no role on this socket. Who runs this coordinator can give one, as in "
                + "--socket-role user:NAME=client; or send a token, where there are tokens."
        case .forwarded:
            "This request came through a proxy, whose user is not who it speaks for, and this coordinator has no tokens. "
                + "Call the socket itself, or have tokens made."
        case .notThisMachine:
            "This coordinator has no tokens and serves its own machine alone. Who runs it can make one with "
                + "\"leasehold token create NAME --role client\"."
        case .role(let caller, let roles, let needs):
            "The caller \"\(caller)\" has the role \(roles.text), and this call needs \(needs.rawValue). "
                + "Call as one that has it, or ask who runs this coordinator."
        case .otherPool(let caller, let theirs, let ours):
            "The caller \"\(caller)\" is for the pool \"\(theirs)\", and this coordinator serves \"\(ours)\". "
                + "Call one of that pool."
        case .foreignID(let caller, let prefix):
            "The caller \"\(caller)\" may lock only ids that begin with \"\(prefix)\". Send such an id."
        case .wrongOrigin("null"):
            "A page without an origin of its own (a local file, a sandboxed frame) may not call this coordinator. "
                + "Serve the page from http://localhost or from an allowed origin."
        case .wrongOrigin(let origin):
            "Pages of \(TokenFile.quoted(origin)) may not call this coordinator. "
                + "Who runs it can allow that origin in its settings."
        case .crossSite:
            "A page of another site is behind this request. Open the address itself, or have that page's origin "
                + "allowed in the coordinator's settings."
        case .wrongHost(let host):
            "This coordinator is not called \(TokenFile.quoted(host)). Use localhost or its address in numbers, or "
                + "have that name added to its settings."
        case .tooManyRequests(let retryAfter):
            "This caller calls too often. Try again in \(Self.seconds(retryAfter)) s."
        case .tooManyWaiting(let limit):
            "This caller has \(limit) requests waiting, which is its limit. Try again when some have been answered."
        case .tooManyLeases(let limit):
            "This caller holds or waits for \(limit) leases, which is its limit. Try again when some are given back."
        case .tooManyStreams(let limit):
            "This caller has \(limit) event streams open, which is its limit. Close some, or poll the status."
        }
    }

    /// The answer.
    func response() -> HTTPResponse {
        var writer = JSONWriter()
        writer.object { writer in
            writer.member("error", word)
            writer.member("msg", message)
        }
        var response = HTTPResponse(status: status, json: writer.bytes)
        response.headers.add("Cache-Control", "no-store")
        switch self {
        case .noToken, .malformedToken, .unknownSubject, .notThisMachine, .forwarded:
            response.headers.add("WWW-Authenticate", "Bearer realm=\"leasehold\"")
        case .unknownToken:
            response.headers.add("WWW-Authenticate", "Bearer realm=\"leasehold\", error=\"invalid_token\"")
        case .tooManyRequests(let retryAfter): response.headers.add("Retry-After", Self.seconds(retryAfter))
        case .tooManyWaiting, .tooManyLeases, .tooManyStreams: response.headers.add("Retry-After", "1")
        case .noSocketRole, .role, .otherPool, .foreignID, .wrongOrigin, .crossSite, .wrongHost: break
        }
        return response
    }

    /// Whole seconds, rounded up; HTTP knows no fractions here.
    private static func seconds(_ duration: Duration) -> String {
        let milliseconds = max(1, duration.milliseconds)
        return String((milliseconds + 999) / 1000)
    }
}
