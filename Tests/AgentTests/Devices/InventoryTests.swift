import JSON
import LeaseModel
import Testing

@testable import Agent

/// A card as a driver may describe it.
private func card(
    _ name: String, pci: String? = nil, uuid: String = "", kind: Device.Kind = .discrete, driver: String = "acme",
    drm: String? = nil, vendor: UInt32 = 0x10DE, id: UInt32 = 0x2684, budget: UInt64? = nil
) -> Device {
    var device = Device(name: name, kind: kind, vendorID: vendor, deviceID: id)
    device.pciAddress = pci
    device.deviceUUID = uuid
    device.driverName = driver
    device.drmNode = drm
    device.heaps = [
        .init(bytes: 16 << 30, isDeviceLocal: false), .init(bytes: 24 << 30, isDeviceLocal: true, budgetBytes: budget),
    ]
    return device
}

private func says(_ manifest: String, _ devices: Device...) -> DriverReport {
    DriverReport(manifest: "/icd/\(manifest).json", outcome: .devices(devices))
}

private let uuid = "0123456789abcdef0123456789abcdef"
private let otherUUID = "fedcba9876543210fedcba9876543210"
private let lavapipe = card(
    "llvmpipe", uuid: "6d65736132322e332e36000000000000", kind: .cpu, driver: "llvmpipe", vendor: 0x10005, id: 0)

@Suite struct `An inventory` {
    private func ids(_ reports: DriverReport..., includeCPU: Bool = false) -> [String] {
        Inventory(reports: reports, includeCPU: includeCPU).devices.map(\.id)
    }

    @Test func `has cards in the order of their places, whatever order the drivers have`() {
        let a = card("A", pci: "0000:41:00.0")
        let b = card("B", pci: "0000:01:00.0")
        #expect(ids(says("x", a, b)) == ["0000:01:00.0", "0000:41:00.0"])
        #expect(ids(says("x", b), says("y", a)) == ids(says("y", a), says("x", b)))
    }

    @Test func `has a card once that two drivers tell of at one place`() {
        let inventory = Inventory(reports: [
            says("radv", card("RADV", pci: "0000:01:00.0", uuid: uuid)),
            says("amdvlk", card("AMDVLK", pci: "0000:01:00.0", uuid: otherUUID)),
        ])
        #expect(inventory.devices.map(\.device.name) == ["RADV"])
        #expect(inventory.devices.first?.drivers == ["/icd/radv.json", "/icd/amdvlk.json"])
    }

    @Test func `has a card once that two drivers give one UUID, and names it by the place that one of them knows`() {
        let placed = card("Placed", pci: "0000:01:00.0", uuid: uuid)
        let unplaced = card("Unplaced", uuid: uuid)
        #expect(ids(says("a", unplaced), says("b", placed)) == ["0000:01:00.0"])
        #expect(ids(says("a", placed), says("b", unplaced)) == ["0000:01:00.0"])
    }

    @Test func `has a card once that two drivers give one render node`() {
        #expect(
            ids(says("a", card("A", drm: "renderD128")), says("b", card("B", drm: "renderD128", id: 7))).count == 1)
        #expect(
            ids(says("a", card("A", drm: "renderD128")), says("b", card("B", drm: "renderD129", id: 7))).count == 2)
    }

    @Test func `keeps cards at two places apart although they give one UUID`() {
        let first = card("A", pci: "0000:01:00.0", uuid: uuid)
        let second = card("A", pci: "0000:02:00.0", uuid: uuid)
        #expect(ids(says("a", first, second)).count == 2)
        #expect(ids(says("a", first), says("b", second)).count == 2)
    }

    @Test func `keeps cards apart that one driver lists without places`() {
        #expect(ids(says("a", card("A"), card("A"))) == ["acme-0", "acme-1"])
    }

    @Test(arguments: ["", "00000000000000000000000000000000", "6d65736132322e332e36000000000000"])
    func `takes no constant for a card's own UUID`(_ constant: String) {
        let first = card("A", uuid: constant, driver: "one", id: 1)
        let second = card("B", uuid: constant, driver: "two", id: 2)
        #expect(ids(says("a", first), says("b", second)) == ["one-0", "two-0"])
    }

    @Test func `leaves out a card that may be another driver's, rather than have it twice`() {
        let inventory = Inventory(reports: [
            says("a", card("Placed", pci: "0000:01:00.0")), says("b", card("Somewhere")),
        ])
        #expect(inventory.devices.map(\.id) == ["0000:01:00.0"])
        #expect(inventory.skipped.map(\.what) == ["Somewhere"])
        #expect(inventory.skipped.first?.weight == .fault)
    }

    @Test func `leaves out software renderers where there is a card, unless they are wanted`() {
        let gpu = card("A", pci: "0000:01:00.0")
        let inventory = Inventory(reports: [says("lvp", lavapipe), says("a", gpu)])
        #expect(inventory.devices.map(\.id) == ["0000:01:00.0"])
        #expect(inventory.skipped.map(\.what) == ["llvmpipe"])
        #expect(ids(says("lvp", lavapipe), says("a", gpu), includeCPU: true) == ["0000:01:00.0", "llvmpipe-0"])
    }

    @Test func `has a software renderer where there is nothing else`() {
        let inventory = Inventory(reports: [
            says("lvp", lavapipe), .init(manifest: "/icd/intel.json", outcome: .unusable("no card")),
        ])
        #expect(inventory.devices.map(\.device.kind) == [.cpu])
    }

    @Test func `does not hand out a software renderer in place of a card whose driver failed`() {
        let failed = DriverReport(manifest: "/icd/nv.json", outcome: .failed("it crashed"))
        #expect(ids(says("lvp", lavapipe), failed) == [])
        #expect(ids(says("lvp", lavapipe), failed, includeCPU: true) == ["llvmpipe-0"])
    }

    @Test func `notes drivers that fail and drivers without devices`() {
        let inventory = Inventory(reports: [
            .init(manifest: "/icd/bad.json", outcome: .failed("it crashed")), says("none"),
        ])
        #expect(inventory.devices.isEmpty)
        #expect(
            inventory.skipped == [
                .init(what: "/icd/bad.json", reason: "it crashed", weight: .fault),
                .init(what: "/icd/none.json", reason: "it has no device here", weight: .ordinary),
            ])
    }

    @Test func `is empty without drivers`() {
        #expect(Inventory(reports: []) == Inventory(simulated: 0))
    }

    @Test func `counts as the same while only the memory in use changes`() {
        let before = Inventory(reports: [says("a", card("A", pci: "0000:01:00.0", budget: 5))])
        let after = Inventory(reports: [says("a", card("A", pci: "0000:01:00.0", budget: 7))])
        let other = Inventory(reports: [says("a", card("B", pci: "0000:01:00.0", budget: 5))])
        #expect(before.isSame(as: after) && before != after)
        #expect(!before.isSame(as: other))
    }
}

@Suite struct `Units of an inventory` {
    private let host = HostID.test("node1")

    @Test func `are one a card, and one for loading models`() throws {
        let inventory = Inventory(reports: [
            says("a", card("A", pci: "0000:01:00.0", budget: 20_000_000_000), card("B", pci: "0000:02:00.0"))
        ])
        let units = inventory.units(on: host)
        #expect(units.map(\.unit.text) == ["node1/0", "node1/1", "node1/model-load"])
        #expect(units.map(\.kind) == [.gpu, .gpu, .modelLoad])
        #expect(units.map(\.memoryMB) == [25769, 25769, 0])
        #expect(units.map(\.deviceType) == ["discrete", "discrete", ""])
        let details = try #require(try JSONParser.parse(Array(units[0].details.utf8)).object)
        #expect(details["name"] == .string("A") && details["pci"] == .string("0000:01:00.0"))
        #expect(details["budget_mb"] == .integer(20_000) && details["simulated"] == .bool(false))
        #expect(details["heaps"]?.array?.count == 2)
        // What is not known is absent, never 0.
        let other = try JSONParser.parse(Array(units[1].details.utf8)).object
        #expect(other?["budget_mb"] == .null)
    }

    @Test func `say that they are simulated`() throws {
        let units = Inventory(simulated: 2).units(on: host)
        #expect(units.map(\.unit.text) == ["node1/0", "node1/1", "node1/model-load"])
        #expect(units[0].details.contains("\"simulated\":true") && units[0].details.contains("Simulated GPU 0"))
        #expect(units[0].memoryMB == 25769 && units[0].deviceType == "discrete")
    }

    @Test func `keep their numbers when a card before them is gone`() {
        let both = Inventory(reports: [says("a", card("A", pci: "0000:01:00.0"), card("B", pci: "0000:02:00.0"))])
        let second = Inventory(reports: [says("a", card("B", pci: "0000:02:00.0"))])
        var numbers = DeviceNumbers()
        numbers.assign(both.devices.map(\.id), boot: "x")
        numbers.assign(second.devices.map(\.id), boot: "x")
        #expect(second.units(on: host, numbers: numbers.numbers).map(\.unit.text) == ["node1/1", "node1/model-load"])
    }
}

@Suite struct `Numbers of cards` {
    @Test func `hold while the host is up, and new cards take those that nobody has`() {
        var numbers = DeviceNumbers()
        numbers.assign(["a", "b"], boot: "1")
        numbers.assign(["b", "c"], boot: "1")
        #expect(numbers.numbers == ["a": 0, "b": 1, "c": 2])
    }

    @Test func `of lost cards are free after a boot, while cards that are there keep theirs`() {
        var numbers = DeviceNumbers()
        numbers.assign(["a", "b"], boot: "1")
        numbers.assign(["b", "c"], boot: "2")
        #expect(numbers.numbers == ["b": 1, "c": 0])
    }

    @Test func `survive being written and read`() {
        var numbers = DeviceNumbers()
        numbers.assign(["0000:01:00.0", "NVIDIA driver-0"], boot: "1")
        #expect(DeviceNumbers(text: numbers.text) == numbers)
    }

    @Test(arguments: ["", "0 a\n", "boot x\n0 a\n0 b\n", "boot x\n0 a\n1 a\n", "boot x\n-1 a\n", "boot x\nzero a\n"])
    func `are not guessed from a broken file`(_ text: String) {
        #expect(DeviceNumbers(text: text) == nil)
    }
}

@Suite struct `A driver's answer` {
    private func outcome(_ text: String) -> DriverReport.Outcome {
        DriverReport(manifest: "m", document: Array(text.utf8)).outcome
    }

    @Test(arguments: ["", "not JSON", "{}", "[]", "{\"devices\":7}", "{\"devices\":[]} trailing"])
    func `that cannot be read is a failure`(_ text: String) {
        guard case .failed = outcome(text) else {
            Issue.record("\(text) was taken as \(outcome(text))")
            return
        }
    }

    @Test func `without a device is nothing to mend`() {
        #expect(outcome(#"{"error":"none","no_device":true}"#) == .unusable("none"))
        #expect(outcome(#"{"error":"lost","no_device":false}"#) == .failed("lost"))
    }

    @Test func `cannot steer the terminal of who reads it`() {
        guard
            case .devices(let devices) = outcome(
                #"{"devices":[{"name":"a\u001b[31m\nb","type":"discrete","driver_name":"x\u0000","heaps":[]}]}"#)
        else {
            Issue.record("no devices")
            return
        }
        #expect(devices.map(\.name) == ["a [31m b"] && devices.map(\.driverName) == ["x"])
        #expect(devices.map(\.memoryBytes) == [0] && devices.map(\.budgetBytes) == [nil])
    }
}

@Suite struct `The report of a search` {
    private let inventory = Inventory(reports: [
        says(
            "a", card(String(repeating: "Very long name ", count: 20), pci: "0000:01:00.0"),
            card("B", driver: "a driver of a long name")),
        says("lvp", lavapipe),
        .init(
            manifest: "/usr/share/vulkan/icd.d/" + String(repeating: "x", count: 200) + ".json",
            outcome: .failed("it did not answer within 5 s and was ended, and there is more to say about it")),
    ])

    @Test func `fits 80 columns and says why something is missing`() {
        let text = ProbeReport.table(inventory)
        for line in text.split(separator: "\n") { #expect(line.count <= 80, "\(line)") }
        #expect(text.contains("24 GiB") && text.contains("0000:01:00.0"))
        #expect(text.contains("Look at this:\n") && text.contains("software renderer"))
    }

    @Test func `says when there is nothing, and when it is invented`() {
        #expect(ProbeReport.table(Inventory(reports: [])) == "No devices.\n")
        #expect(ProbeReport.table(Inventory(simulated: 1)).contains("simulated: they exist only here"))
    }

    @Test func `is JSON for programs`() throws {
        let root = try #require(try JSONParser.parse(ProbeReport.json(inventory)).object)
        #expect(root["devices"]?.array?.count == 2)
        #expect(root["devices"]?.array?.first?.object?["memory_mb"] == .integer(25769))
        #expect(root["skipped"]?.array?.compactMap { $0.object?["fault"]?.bool } == [true, false])
    }
}
