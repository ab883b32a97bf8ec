import Testing

@testable import Agent

@Suite struct `Why a host does not join` {
    private static let all: [JoinError] = [
        .inClear("http://pool:8080"), .tokenFile("/t", why: "it holds 2 words"),
        .unreachable("https://pool", why: "self-signed certificate"),
        .refused("https://pool", status: 403, message: "The caller may not. Ask."), .notUnderstood("https://pool"),
        .otherPool(wanted: "a", got: "b"), .redis("redis://10.0.0.5:6379/0", why: "Connection refused"),
        .otherRedis("redis://10.0.0.5:6379/0"), .settingsStand("/e", names: ["LEASEHOLD_REDIS"]),
        .settings("/e", why: "Permission denied"), .state("/s", why: "it belongs to another user"),
    ]

    @Test(arguments: all) func `is said in sentences that lead on`(_ error: JoinError) {
        // A new case does not compile until it is listed above.
        switch error {
        case .inClear, .tokenFile, .unreachable, .refused, .notUnderstood, .otherPool, .redis, .otherRedis,
            .settingsStand, .settings, .state:
            break
        }
        #expect(error.description.hasSuffix(".") && error.description.contains(/[.;:] ?[A-Z-]/))
        #expect(error.description.count < 320 && !error.description.contains("Optional("))
    }
}
