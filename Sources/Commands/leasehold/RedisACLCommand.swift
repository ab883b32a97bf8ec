import LeaseModel
import LeaseStore
import Settings

extension Command {
    static let redisACL = Command(
        "redis-acl", .service,
        "Prints an ACL SETUSER with the least rights: what agents and coordinators need in Redis, computed from what they call.",
        options: [
            RedisACLOptions.pool.entry, RedisACLOptions.user.entry, RedisACLOptions.role.entry,
        ], callsService: false,
        examples: [
            "leasehold redis-acl | redis-cli":
                "Makes the user leasehold, which cannot log in before it has a password.",
            "leasehold redis-acl --pool lab --pool ci --user gpu": "One user for two pools.",
        ],
        notes: [
            "A user that exists gets these rights and no others, and has to be given its password again: "
                + "ACL SETUSER NAME '>PASSWORD'."
        ],
        exits: "Exit codes: 0 printed; 2 wrong option."
    ) { (given, surroundings) throws(Failure) in
        let user = try given.value(RedisACLOptions.user)
        let rules = RedisACL.rules(
            pools: try given.list(RedisACLOptions.pool), role: try given.value(RedisACLOptions.role))
        surroundings.output.line((["ACL", "SETUSER", user] + rules).joined(separator: " "))
        surroundings.error.line("Then give it a password: ACL SETUSER \(user) '>PASSWORD'")
        return .done
    }
}

enum RedisACLOptions {
    static let pool = Option<PoolID>(
        "pool", .many("NAME"), allowed: "1 to \(Limits.nameLength) of A-Z a-z 0-9 . _ -", standard: .text("default"),
        help: "A pool whose keys and channels the user may touch.", places: .flag
    ) { (text) throws(WrongValue) in
        do throws(InvalidName) { return try PoolID(text) } catch { throw WrongValue() }
    }
    static let user = Option<String>(
        "user", .one("NAME"), allowed: "1 to \(Limits.nameLength) of A-Z a-z 0-9 . _ -",
        standard: .text("leasehold"), help: "The user's name in Redis.", places: .flag
    ) { (text) throws(WrongValue) in
        // What serves as a pool's name needs no quotes in a command either.
        do throws(InvalidName) { return try PoolID(text).text } catch { throw WrongValue() }
    }
    static let role = Option<RedisACL.Role>(
        "role", .one("ROLE"), allowed: "agent, coordinator or both", standard: .text("both"),
        help: "Who logs in as this user.", places: .flag
    ) { (text) throws(WrongValue) in
        guard let role = RedisACL.Role(rawValue: text) else { throw WrongValue() }
        return role
    }
}
