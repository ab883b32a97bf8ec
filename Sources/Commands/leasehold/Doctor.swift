import RedisClient
import Settings

extension Command {
    static let doctor = Command(
        "doctor", .checks,
        "Looks for the usual faults of this machine: service, Redis, Vulkan, permissions, container, clock; "
            + "and says how to mend each.",
        options: [
            DoctorOptions.redis.entry, ProbeOptions.timeout.entry, ProbeOptions.program.entry,
            RunOptions.agentSocket.entry,
        ],
        examples: [
            "leasehold doctor": "Ends with 1 if anything is wrong.",
            "leasehold doctor --redis redis://db.example:6379": "Also looks at that Redis.",
        ]
    ) { (given, surroundings) throws(Failure) in
        let doctor = try DoctorChecks(given, surroundings)
        return Check.report(await doctor.run(), json: try given.isOn(ServiceOptions.json), surroundings)
    }
}

enum DoctorOptions {
    static let redis = Option<RedisEndpoint>(
        "redis", .one("URL"), allowed: RedisEndpoint.forms,
        help: "Look at this Redis too.", places: [.flag, .variable], secrecy: .secret
    ) { (text) throws(WrongValue) in
        do throws(RedisError) {
            return try RedisEndpoint(parsing: text)
        } catch {
            throw WrongValue(want: error.message)
        }
    }
}
