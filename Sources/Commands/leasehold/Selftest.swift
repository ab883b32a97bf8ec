import JSON
import Settings

extension Command {
    static let selftest = Command(
        "selftest", .checks,
        "Checks a running service from outside: what it answers, and that a lease can be taken, renewed and given back.",
        examples: [
            "leasehold selftest --url http://gpu-host:8080": "Ends with 1 and says what is wrong, if anything is."
        ],
        notes: [
            "Where a GPU is free it is leased for a moment, behind everybody who waits; a busy pool is no fault. "
                + "The token needs the role client."
        ]
    ) { (given, surroundings) throws(Failure) in
        let test = SelftestChecks(service: try Service.of(given, surroundings), surroundings: surroundings)
        return Check.report(await test.run(), json: try given.isOn(ServiceOptions.json), surroundings)
    }
}
