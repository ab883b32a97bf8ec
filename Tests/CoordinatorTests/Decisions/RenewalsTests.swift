import LeaseModel
import Testing

@testable import Coordinator

@Suite struct RenewalsTests {
    private func asked(_ call: UInt64 = 1) throws -> Renewals {
        var renewals = Renewals()
        let wish = RenewRequest(call: CallID(call), lease: try lease(5), token: TokenHash("h"), nonce: "n\(call)")
        #expect(
            renewals.handle(.requested(wish), at: at(0)) == [.renew(try lease(5), TokenHash("h"), nonce: "n\(call)")])
        return renewals
    }

    @Test func `a renewal is counted from when it was sent`() throws {
        var renewals = try asked()
        #expect(renewals.handle(.answered(nonce: "n1", .asked), at: at(0.1)).isEmpty)
        #expect(
            renewals.handle(.renewed(try lease(5), nonce: "n1", ttl: .seconds(60)), at: at(1))
                == [.answer(CallID(1), .renewed(try lease(5), ttl: .seconds(60), expiresIn: .seconds(58)))])
        #expect(renewals.count == 0)
        #expect(renewals.wakeAt == nil)
    }

    @Test func `nobody's answer is told after two seconds, and a late one is told to nobody`() throws {
        var renewals = try asked()
        #expect(renewals.wakeAt == at(2))
        #expect(renewals.handle(.clockReached, at: at(2)) == [.answer(CallID(1), .noAnswer(try lease(5)))])
        #expect(renewals.handle(.renewed(try lease(5), nonce: "n1", ttl: .seconds(60)), at: at(3)).isEmpty)
    }

    @Test func `a lease that is gone is told with its reason`() throws {
        var renewals = try asked()
        #expect(
            renewals.handle(.answered(nonce: "n1", .gone(.revoked, by: "root")), at: at(1))
                == [.answer(CallID(1), .gone(try lease(5), .revoked, by: "root"))])
        renewals = try asked()
        #expect(
            renewals.handle(.refused(try lease(5), nonce: "n1", .expired), at: at(1))
                == [.answer(CallID(1), .gone(try lease(5), .expired, by: ""))])
        renewals = try asked()
        #expect(
            renewals.handle(.answered(nonce: "n1", .wrongToken), at: at(1))
                == [.answer(CallID(1), .wrongToken(try lease(5)))])
        renewals = try asked()
        #expect(
            renewals.handle(.answered(nonce: "n1", .unheard), at: at(1))
                == [.answer(CallID(1), .noAnswer(try lease(5)))])
    }

    @Test func `an answer about another lease is not taken`() throws {
        var renewals = try asked()
        #expect(renewals.handle(.renewed(try lease(6), nonce: "n1", ttl: .seconds(60)), at: at(1)).isEmpty)
        #expect(renewals.count == 1)
    }

    @Test func `a client that is gone is answered no more, and a shutdown answers the others`() throws {
        var renewals = try asked()
        #expect(renewals.handle(.clientGone(CallID(1)), at: at(1)).isEmpty)
        #expect(renewals.count == 0)
        renewals = try asked(2)
        #expect(renewals.handle(.shutdown, at: at(1)) == [.answer(CallID(2), .shuttingDown)])
    }
}
