import Testing

@testable import Agent

@Suite struct `Why an agent does not go on` {
    private static let all: [AgentError] = [
        .stateDirectory("/s", why: "open /s: Permission denied"), .stateDirectoryBusy("/s", process: "17"),
        .hostInUse("n1", instance: "a1"), .succeeded("n1"), .tooManyUnits(70, limit: 64),
        .tooManyLabels(40, limit: 32), .cannotListen("127.0.0.1:80", why: "Permission denied"),
    ]

    @Test(arguments: all) func `is said in sentences that lead on`(_ error: AgentError) {
        // A new case does not compile until it is listed above.
        switch error {
        case .stateDirectory, .stateDirectoryBusy, .hostInUse, .succeeded, .tooManyUnits, .tooManyLabels, .cannotListen:
            break
        }
        #expect(error.description.hasSuffix(".") && error.description.contains(/[.;] ?[A-Zi]/))
        #expect(error.description.count < 320 && !error.description.contains("Optional("))
    }
}
