import Testing

@testable import leasehold

@Suite struct `Rights in Redis` {
    @Test func `one line makes a user for the pools that are named`() async throws {
        try await withScene { scene in
            let printed = await scene.run(["redis-acl", "--pool", "lab", "--pool", "ci", "--user", "gpu"])
            #expect(printed.code == 0)
            #expect(printed.output.hasPrefix("ACL SETUSER gpu reset on ~lh:{lab}:* &lh:{lab}:to:* ~lh:{ci}:* "))
            #expect(printed.output.hasSuffix("\n") && printed.output.split(separator: "\n").count == 1)
            #expect(printed.output.contains(" +evalsha ") && !printed.output.contains("@"))
            #expect(printed.error.contains("ACL SETUSER gpu '>PASSWORD'"))
            let agent = await scene.run(["redis-acl", "--role", "agent"])
            #expect(agent.output.hasPrefix("ACL SETUSER leasehold reset on ~lh:{default}:* "))
            #expect(!agent.output.contains("+xread"))
            for wrong in [["--pool", "a*"], ["--user", "a b"], ["--role", "king"], ["word"]] {
                #expect(await scene.run(["redis-acl"] + wrong).code == 2, "\(wrong)")
            }
        }
    }
}
