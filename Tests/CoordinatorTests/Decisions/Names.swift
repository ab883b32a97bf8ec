import LeaseModel
import Testing

@testable import Coordinator

/// A moment of a test's own clock.
func at(_ seconds: Double) -> BootInstant {
    BootInstant(sinceBoot: .seconds(1000) + .milliseconds(Int(seconds * 1000)))
}

func lease(_ fencing: Int64, of unit: String = "node1/0") throws -> LeaseID {
    LeaseID(unit: try UnitID(unit), fencing: FencingToken(fencing))
}

func request(
    _ call: UInt64, ticket: String = "t-1", resumable: Bool = false, timeout: Duration = .seconds(120),
    ttl: Duration = .seconds(120), namesItsPlace: Bool = false
) throws -> LockRequest {
    LockRequest(
        call: CallID(call), ticket: TicketID(ticket), isResumable: resumable, holder: try HolderID("train"), caller: "",
        selector: .anyGPU, namesItsPlace: namesItsPlace, priority: .standard, ttl: ttl, timeout: timeout, metadata: "",
        secret: LeaseSecret("secret-\(call)"), token: TokenHash("hash-\(call)"))
}

func grant(_ ticket: String, _ lease: LeaseID, token: String, beat: Int64?, ttl: Duration = .seconds(120)) -> Grant {
    Grant(ticket: TicketID(ticket), lease: lease, token: TokenHash(token), ttl: ttl, beat: beat)
}

func drawn(_ name: String) -> DrawnToken {
    DrawnToken(secret: LeaseSecret("secret-\(name)"), hash: TokenHash("hash-\(name)"), nonce: "nonce-\(name)")
}

extension [Waiters.Action] {
    /// The answers among the actions, with their calls.
    var answers: [(call: UInt64, outcome: LockOutcome)] {
        compactMap { action in
            if case .answer(let call, let outcome) = action { (call.number, outcome) } else { nil }
        }
    }

    var asks: [(reference: AskReference, age: AskAge)] {
        compactMap { action in
            if case .ask(let reference, _, let age) = action { (reference, age) } else { nil }
        }
    }

    var cancels: [Waiters.Action] {
        filter { action in if case .cancel = action { true } else { false } }
    }
}

/// Numbers that depend on the seed alone.
struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
