import JSON
import LeaseModel

/// What `up` says once it serves.
struct Banner {
    var version: String
    var urls: [String]
    var host: HostID
    var units: [UnitProperties]
    var state: String
    var redis: String

    var text: String {
        let curl = Self.curl(urls.first { $0.hasPrefix("http") } ?? urls.first ?? "")
        var lines = ["Leasehold \(version) is up."]
        lines.append("  URL     \(urls.joined(separator: ", ")) (open it in a browser for the dashboard)")
        let gpus = units.filter { $0.kind == .gpu }
        if gpus.isEmpty {
            lines.append(
                "  GPUs    none found on \(host.text): `leasehold probe` says why. `--simulate 2` invents some.")
        }
        for (index, unit) in gpus.prefix(8).enumerated() {
            lines.append((index == 0 ? "  GPUs    " : "          ") + Self.line(unit))
        }
        if gpus.count > 8 { lines.append("          … and \(gpus.count - 8) more") }
        lines.append("  Redis   \(redis)")
        lines.append("  State   \(state)")
        lines += [
            "", "Take a GPU and give it back:",
            "  \(curl)/v1/gpu/lock -d '{\"id\": \"Root-Mic\"}'",
            "  \(curl)/v1/gpu/unlock -d '{\"id\": \"Root-Mic\"}'", "", "Ctrl-C stops it all.", "",
        ]
        return lines.joined(separator: "\n")
    }

    private static func curl(_ url: String) -> String {
        guard url.hasPrefix("unix://") else { return "curl -X POST \(url)" }
        return "curl -X POST --unix-socket \(url.dropFirst(7)) http://localhost"
    }

    private static func line(_ unit: UnitProperties) -> String {
        let details = try? JSONParser.parse(Array(unit.details.utf8)).object
        let name = details?["name"]?.string ?? "a device without a name"
        let kind =
            details?["simulated"]?.bool == true
            ? ", invented" : unit.deviceType == "cpu" ? ", a software renderer" : ""
        return "\(unit.unit.text): \(name), \((unit.memoryMB + 500) / 1000) GB\(kind)"
    }
}
