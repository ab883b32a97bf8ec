import JSON
import LeaseModel

/// What a search found, as `leasehold probe` shows it.
package enum ProbeReport {
    /// A table of at most 80 columns, and below it what gives no device and why.
    package static func table(_ inventory: Inventory) -> String {
        var text = ""
        if inventory.devices.isEmpty {
            text += "No devices.\n"
        } else {
            text += row("#", "NAME", "TYPE", "MEMORY", "DRIVER", "PCI")
            for (index, entry) in inventory.devices.enumerated() {
                let device = entry.device
                text += row(
                    String(index), device.name, device.kind.rawValue, memory(device.memoryBytes), device.driverName,
                    device.pciAddress ?? "-")
            }
            if inventory.devices.contains(where: { $0.device.isSimulated }) {
                text += "\nThese devices are simulated: they exist only here.\n"
            } else if inventory.devices.contains(where: { $0.device.kind == .cpu }) {
                text += "\nA device of type cpu is a software renderer, no GPU.\n"
            }
        }
        for (title, weight) in [("Look at this:", Inventory.Skipped.Weight.fault), ("Passed over:", .ordinary)] {
            let skipped = inventory.skipped.filter { $0.weight == weight }
            if !skipped.isEmpty { text += "\n\(title)\n" }
            for skip in skipped { text += wrapped("\(PlainText.line(skip.what)): \(PlainText.line(skip.reason))") }
        }
        return text
    }

    /// The same for programs.
    package static func json(_ inventory: Inventory) -> [UInt8] {
        var writer = JSONWriter(indent: 2)
        writer.object { writer in
            writer.key("devices")
            writer.array { writer in
                for entry in inventory.devices {
                    writer.object { writer in
                        entry.writeMembers(to: &writer)
                        writer.member("type", entry.device.kind.rawValue)
                        writer.member("memory_mb", entry.device.memoryBytes / 1_000_000)
                        writer.key("drivers")
                        writer.array { writer in
                            for driver in entry.drivers { writer.string(driver) }
                        }
                    }
                }
            }
            writer.key("skipped")
            writer.array { writer in
                for skip in inventory.skipped {
                    writer.object { writer in
                        writer.member("what", skip.what)
                        writer.member("reason", skip.reason)
                        writer.member("fault", skip.weight == .fault)
                    }
                }
            }
        }
        return writer.bytes
    }

    private static func row(
        _ number: String, _ name: String, _ type: String, _ memory: String, _ driver: String, _ place: String
    ) -> String {
        let cells = [
            padded(number, 3), padded(name, 29), padded(type, 10), padded(memory, 9, fromLeft: true),
            padded(driver, 12), padded(place, 12),
        ]
        return PlainText.trimmedAtEnd(cells.joined(separator: " ")) + "\n"
    }

    private static func padded(_ text: String, _ width: Int, fromLeft: Bool = false) -> String {
        guard text.count <= width else { return text.prefix(width - 1) + "…" }
        let space = String(repeating: " ", count: width - text.count)
        return fromLeft ? space + text : text + space
    }

    /// In GiB with one decimal, as makers and drivers count; without one where it is whole.
    private static func memory(_ bytes: UInt64) -> String {
        guard bytes > 0 else { return "-" }
        let tenths = (bytes * 10 + (1 << 29)) >> 30
        return tenths % 10 == 0 ? "\(tenths / 10) GiB" : "\(tenths / 10).\(tenths % 10) GiB"
    }

    private static func wrapped(_ text: String) -> String {
        var lines: [String] = []
        var line = "  "
        for word in text.split(separator: " ") {
            if line.count + word.count + 1 > 80, line.contains(where: { $0 != " " }) {
                lines.append(line)
                line = "     "
            }
            line += (line.hasSuffix("  ") ? "" : " ") + word
            // A path may be longer than a line.
            while line.count > 80 {
                lines.append(String(line.prefix(80)))
                line = "     " + line.dropFirst(80)
            }
        }
        return (lines + [line]).joined(separator: "\n") + "\n"
    }
}
