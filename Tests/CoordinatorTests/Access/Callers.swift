import LeaseModel
import Testing

@testable import Coordinator

/// One token for each role, and what is judged with them.
enum Callers {
    static func token(_ name: String) -> String { "lh_token-of-\(name)" }

    static let entries: [TokenEntry] = Role.allCases.map {
        TokenEntry(name: $0.rawValue, roles: Roles($0), digest: TokenDigest(of: token($0.rawValue)))
    }

    static let guarded = Access(tokens: TokenList(entries))
    static let open = Access(tokens: nil)

    static func bearer(_ name: String) -> String { "Bearer \(token(name))" }
}

extension Access.Verdict {
    var caller: Access.Caller? { if case .allowed(let caller, _) = self { caller } else { nil } }
    var refusal: AccessRefusal? { if case .refused(let refusal, _) = self { refusal } else { nil } }
    var status: Int { refusal?.status ?? 200 }
    var cors: String? {
        switch self {
        case .allowed(_, let cors), .refused(_, let cors): cors
        }
    }
}
