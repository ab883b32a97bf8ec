import LeaseModel

/// The devices of a host: each card once, whichever drivers know it.
package struct Inventory: Equatable, Sendable {
    package struct Entry: Equatable, Sendable {
        /// Names the card from one probe to the next: its PCI address, else its driver and its place there.
        package var id: String
        package var device: Device
        /// The manifests of the drivers that know it; the first is the one that `device` is from.
        package var drivers: [String]
    }

    /// A driver or device that gives no unit.
    package struct Skipped: Equatable, Sendable {
        package enum Weight: Equatable, Sendable {
            /// As it should be.
            case ordinary
            /// Somebody should look at it: devices may be missing.
            case fault
        }

        /// The manifest, or the name of a device.
        package var what: String
        package var reason: String
        package var weight: Weight
    }

    /// In a stable order: by PCI address, then those without one, software renderers last.
    package private(set) var devices: [Entry] = []
    package private(set) var skipped: [Skipped] = []

    /// Merges what the drivers say, in the order of their search.
    ///
    /// - Parameters:
    ///   - cards: What the kernel knows: a card that no driver tells of is noted.
    ///   - includeCPU: Whether software renderers count beside real devices. Where there is no real device, and
    ///   nothing failed that may have one, they count anyway.
    init(reports: [DriverReport], cards: GraphicsCards = GraphicsCards(), includeCPU: Bool = false) {
        var found: [Entry] = []
        for report in reports {
            switch report.outcome {
            case .devices(let devices):
                if devices.isEmpty { skip(report.manifest, "it has no device here", .ordinary) }
                for entry in Self.entries(of: devices, manifest: report.manifest) { merge(entry, into: &found) }
            case .unusable(let why): skip(report.manifest, why, .ordinary)
            case .failed(let why): skip(report.manifest, why, .fault)
            }
        }
        for (address, maker) in cards.capable.sorted(by: { $0.key < $1.key }) {
            let isFound = found.contains {
                $0.device.pciAddress == address || ($0.device.pciAddress == nil && $0.device.vendorID == maker)
            }
            if !isFound {
                skip(
                    address, "no driver tells of this card. Is one installed, and may this user open /dev/dri?", .fault)
            }
        }
        let hasReal = found.contains { $0.device.kind != .cpu }
        let hasFault = skipped.contains { $0.weight == .fault }
        if !includeCPU, hasReal || hasFault {
            for entry in found where entry.device.kind == .cpu {
                skip(entry.device.name, "it is a software renderer; --include-cpu takes it too", .ordinary)
            }
            found.removeAll { $0.device.kind == .cpu }
        }
        devices = found.sorted { Self.order($0) < Self.order($1) }
    }

    /// Invented devices of 24 GiB, which say that they are.
    package init(simulated count: Int) {
        devices = (0..<count).map { index in
            var device = Device(name: "Simulated GPU \(index)", kind: .discrete)
            device.driverName = "simulated"
            device.heaps = [Device.Heap(bytes: 24 << 30, isDeviceLocal: true)]
            device.isSimulated = true
            return Entry(id: "simulated-\(index)", device: device, drivers: [])
        }
    }

    /// The same devices and skips, whatever of their memory is in use.
    package func isSame(as other: Inventory) -> Bool { withoutBudgets() == other.withoutBudgets() }

    private func withoutBudgets() -> Inventory {
        var copy = self
        for position in copy.devices.indices {
            for heap in copy.devices[position].device.heaps.indices {
                copy.devices[position].device.heaps[heap].budgetBytes = nil
            }
        }
        return copy
    }

    private mutating func skip(_ what: String, _ reason: String, _ weight: Skipped.Weight) {
        skipped.append(Skipped(what: what, reason: reason, weight: weight))
    }

    private static func entries(of devices: [Device], manifest: String) -> [Entry] {
        var counts: [String: Int] = [:]
        return devices.map { device in
            if let address = device.pciAddress { return Entry(id: address, device: device, drivers: [manifest]) }
            let driver = device.driverName.isEmpty ? PlainText.fileName(manifest) : device.driverName
            let index = counts[driver, default: 0]
            counts[driver] = index + 1
            return Entry(id: "\(driver)-\(index)", device: device, drivers: [manifest])
        }
    }

    private mutating func merge(_ entry: Entry, into found: inout [Entry]) {
        if let same = found.firstIndex(where: { Self.isSameCard($0, entry) }) {
            let wasKnown = found[same].drivers.contains(entry.drivers[0])
            // The one that knows the card's place names it for good; else the driver that is found first counts.
            if found[same].device.pciAddress == nil, entry.device.pciAddress != nil {
                found[same].id = entry.id
                found[same].device = entry.device
                found[same].drivers.insert(contentsOf: wasKnown ? [] : entry.drivers, at: 0)
            } else if !wasKnown {
                found[same].drivers += entry.drivers
            }
        } else if let twin = found.first(where: { Self.mayBeSameCard($0, entry) }) {
            // Two units of one card would let two holders onto it: rather one card too few.
            skip(
                entry.device.name,
                "\(PlainText.fileName(entry.drivers[0])) does not tell which card it is; it may be "
                    + twin.id, .fault)
        } else {
            var entry = entry
            // Two drivers of one name, each with cards whose place it does not tell.
            if found.contains(where: { $0.id == entry.id }) { entry.id += "-" + PlainText.fileName(entry.drivers[0]) }
            found.append(entry)
        }
    }

    private static func isSameCard(_ left: Entry, _ right: Entry) -> Bool {
        if let a = left.device.pciAddress, let b = right.device.pciAddress { return a == b }
        guard areComparable(left, right) else { return false }
        if let a = left.device.drmNode, let b = right.device.drmNode { return a == b }
        return isTelling(left.device.deviceUUID) && left.device.deviceUUID == right.device.deviceUUID
    }

    private static func mayBeSameCard(_ left: Entry, _ right: Entry) -> Bool {
        guard areComparable(left, right), left.device.vendorID != 0 else { return false }
        guard left.device.pciAddress == nil || right.device.pciAddress == nil else { return false }
        return left.device.vendorID == right.device.vendorID && left.device.deviceID == right.device.deviceID
    }

    /// What one driver lists twice without a place are two cards, and a software renderer is none.
    private static func areComparable(_ left: Entry, _ right: Entry) -> Bool {
        !right.drivers.contains(where: left.drivers.contains) && left.device.kind != .cpu && right.device.kind != .cpu
    }

    /// Whether a device's UUID names a card: a few drivers give nothing, or their own version as text.
    private static func isTelling(_ uuid: String) -> Bool {
        let mesa = "6d657361"  // "mesa"
        return uuid.utf8.count == 32 && uuid.utf8.contains { $0 != UInt8(ascii: "0") } && !uuid.hasPrefix(mesa)
    }

    private static func order(_ entry: Entry) -> (Int, String) {
        (entry.device.kind == .cpu ? 2 : entry.device.pciAddress == nil ? 1 : 0, entry.id)
    }
}
