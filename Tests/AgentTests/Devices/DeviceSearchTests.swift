import EventLoop
import LeaseModel
import Telemetry
import TestSupport
import Testing

@testable import Agent

private let host = HostID.test("node1")
private let lavapipe = "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json"

private func gpu(_ name: String, _ address: String) -> String {
    #"{"name":"\#(name)","type":"discrete","vendor_id":4318,"pci":"\#(address)","heaps":[{"bytes":1000000000,"device_local":true}]}"#
}

@Suite struct `A search for devices` {
    @Test func `finds lavapipe through the real probe`() async throws {
        try await Drivers.with { drivers in
            try drivers.write("lvp.json", try text(of: lavapipe))
            let inventory = try await drivers.search().inventory()
            let device = try #require(inventory.devices.first?.device)
            #expect(device.kind == .cpu && device.name.contains("llvmpipe") && device.driverName == "llvmpipe")
            #expect(device.memoryBytes > 0 && device.budgetBytes == nil && device.pciAddress == nil)
            #expect(device.deviceUUID.utf8.count == 32 && !device.apiVersion.isEmpty)
        }
    }

    @Test func `without drivers finds no devices, which is no error`() async throws {
        try await Drivers.with { drivers in
            let search = drivers.search()
            let found = try await search.inventory()
            #expect(found == Inventory(reports: []))
            #expect(await search.units(on: host)?.map(\.unit.text) == ["node1/model-load"])
        }
    }

    @Test func `passes a driver over whose library is missing`() async throws {
        try await Drivers.with { drivers in
            try drivers.manifest("gone", library: "/nowhere/libgone.so")
            try drivers.manifest("unknown", library: "libnobodyhasthis.so")
            try drivers.write("broken.json", "{")
            let skipped = try await drivers.search().inventory().skipped
            #expect(skipped.map(\.what).map(PlainText.fileName) == ["broken.json", "gone.json", "unknown.json"])
            #expect(skipped[0].reason == "its manifest names no library" && skipped[0].weight == .fault)
            #expect(skipped[1].reason == "its library /nowhere/libgone.so is missing" && skipped[1].weight == .fault)
            #expect(skipped[2].reason.hasPrefix("libnobodyhasthis.so: cannot open") && skipped[2].weight == .fault)
        }
    }

    @Test func `loses only a crashing driver's devices`() async throws {
        try await Drivers.with { drivers in
            try await drivers.driver("aborting", doing: "abort();")
            try drivers.write("lvp.json", try text(of: lavapipe))
            let inventory = try await drivers.search().inventory()
            #expect(inventory.skipped.contains { $0.reason.contains("signal 6") && $0.weight == .fault })
            // Nor does a renderer take the place of what the driver may have had.
            #expect(inventory.devices.isEmpty)
            #expect(inventory.skipped.contains { $0.what.contains("llvmpipe") })
        }
    }

    @Test func `ends a driver that hangs, and goes on`() async throws {
        try await Drivers.with { drivers in
            // The driver tells its process, so that its end can be seen.
            let note =
                #"FILE *note = fopen("\#(drivers.directory)/pid", "w"); fprintf(note, "%d", getpid()); fclose(note);"#
            try await drivers.driver("hanging", doing: "\(note) for (;;) pause();")
            let search = drivers.search(deadline: .seconds(5))
            let inventory = try await search.inventory()
            #expect(inventory.skipped.map(\.reason) == ["it did not answer within 5 s and was ended"])
            let process = try #require(Int32(drivers.read("pid")))
            try await eventually("the driver's process is gone") { !Files.exists("/proc/\(process)") }
        }
    }

    @Test func `fails where the probe is missing, and says where it should be`() async throws {
        try await Drivers.with { drivers in
            let search = drivers.search(probe: "/nowhere/leasehold-probe")
            #expect(await search.units(on: host) == nil)
            await #expect(throws: DeviceSearchError.self) { try await search.inventory() }
        }
    }

    @Test func `keeps a card's number while the card before it does not answer, also after a restart`() async throws {
        try await Drivers.with { drivers in
            let probe = try drivers.standInProbe()
            try drivers.answer("a", #"{"devices":[\#(gpu("A", "0000:01:00.0"))]}"#)
            try drivers.answer("b", #"{"devices":[\#(gpu("B", "0000:02:00.0"))]}"#)
            let search = drivers.search(probe: probe)
            #expect(await search.units(on: host)?.map(\.unit.text) == ["node1/0", "node1/1", "node1/model-load"])
            try drivers.write("a.answer", "")
            #expect(await search.units(on: host)?.map(\.unit.text) == ["node1/1", "node1/model-load"])
            let restarted = drivers.search(probe: probe)
            #expect(await restarted.units(on: host)?.map(\.unit.text) == ["node1/1", "node1/model-load"])
        }
    }

    @Test func `tells the same units while only the memory in use changes`() async throws {
        try await Drivers.with { drivers in
            let probe = try drivers.standInProbe()
            func answer(_ budget: Int) throws {
                try drivers.answer(
                    "a",
                    #"{"devices":[{"name":"A","type":"discrete","pci":"0000:01:00.0","heaps":[{"bytes":9000000000,"device_local":true,"budget_bytes":\#(budget)}]}]}"#
                )
            }
            try answer(8_000_000_000)
            let search = drivers.search(probe: probe)
            let before = try #require(await search.units(on: host))
            try answer(5_000_000_000)
            #expect(await search.units(on: host) == before)
            let found = try await search.inventory()
            #expect(found.devices.first?.device.budgetBytes == 5_000_000_000)
        }
    }

    @Test func `does not wake a sleeping card, but looks when a card comes`() async throws {
        try await Drivers.with { drivers in
            let probe = try drivers.standInProbe()
            try drivers.answer("a", #"{"devices":[\#(gpu("A", "0000:01:00.0"))]}"#)
            try drivers.card("0000:01:00.0", status: "suspended")
            try drivers.card("0000:00:1f.0", status: "suspended", kind: "0x060100")
            let search = drivers.search(probe: probe)
            let first = await search.units(on: host)
            #expect(drivers.timesAsked("a") == 1)
            #expect(await search.units(on: host) == first)
            #expect(drivers.timesAsked("a") == 1)
            try drivers.card("0000:01:00.0", status: "active")
            #expect(await search.units(on: host) == first)
            #expect(drivers.timesAsked("a") == 2)
            try drivers.card("0000:01:00.0", status: "suspended")
            try drivers.card("0000:02:00.0", status: "active", vendor: "0x1a03")
            #expect(await search.units(on: host) == first)
            #expect(drivers.timesAsked("a") == 3)
        }
    }

    @Test func `asks a driver that failed again, also beside a sleeping card`() async throws {
        try await Drivers.with { drivers in
            let probe = try drivers.standInProbe()
            try drivers.answer("a", #"{"devices":[\#(gpu("A", "0000:01:00.0"))]}"#)
            try drivers.answer("b", "")
            try drivers.card("0000:01:00.0", status: "suspended")
            let search = drivers.search(probe: probe)
            _ = await search.units(on: host)
            _ = await search.units(on: host)
            #expect(drivers.timesAsked("a") == 1 && drivers.timesAsked("b") == 2)
        }
    }

    @Test func `notes a card that no driver tells of`() async throws {
        try await Drivers.with { drivers in
            try drivers.card("0000:01:00.0", status: "active")
            try drivers.card("0000:02:00.0", status: "active", vendor: "0x1a03")
            let skipped = try await drivers.search().inventory().skipped
            #expect(skipped.map(\.what) == ["0000:01:00.0"])
            #expect(skipped.first?.weight == .fault)
        }
    }

    @Test func `is made once for all who ask at the same time`() async throws {
        try await Drivers.with { drivers in
            let probe = try drivers.standInProbe()
            try drivers.answer("a", #"{"devices":[\#(gpu("A", "0000:01:00.0"))]}"#)
            let search = drivers.search(probe: probe)
            async let first = search.inventory()
            async let second = search.inventory()
            async let third = search.inventory()
            let all = try await [first, second, third]
            #expect(all.allSatisfy { $0 == all[0] } && all[0].devices.count == 1)
            #expect((1...3).contains(drivers.timesAsked("a")))
        }
    }

    private func text(of path: String) throws -> String {
        String(decoding: try Files.read(path), as: UTF8.self)
    }
}

@Suite struct `Manifests` {
    @Test func `are searched where the loader's document says`() {
        let standard = DriverManifests(environment: ["HOME": "/home/u"]).places
        #expect(
            standard
                == [
                    "/home/u/.config", "/etc/xdg", "/usr/local/etc", "/etc", "/home/u/.local/share", "/usr/local/share",
                    "/usr/share",
                ].map { $0 + "/vulkan/icd.d" })
        let told = DriverManifests(environment: [
            "XDG_CONFIG_HOME": "/c", "XDG_CONFIG_DIRS": "/d:/e", "XDG_DATA_HOME": "/f", "XDG_DATA_DIRS": "/g",
            "VK_ADD_DRIVER_FILES": "/x.json",
        ]).places
        #expect(
            told == ["/x.json"]
                + ["/c", "/d", "/e", "/usr/local/etc", "/etc", "/f", "/g"].map { $0 + "/vulkan/icd.d" })
    }

    @Test func `are those that a variable names, and no others`() {
        #expect(
            DriverManifests(environment: ["VK_DRIVER_FILES": "/a.json:/b", "VK_ICD_FILENAMES": "/c.json"]).places
                == ["/a.json", "/b"])
        #expect(DriverManifests(environment: ["VK_ICD_FILENAMES": "/c.json"]).places == ["/c.json"])
        #expect(DriverManifests(environment: ["VK_DRIVER_FILES": "", "HOME": ""]).places.count == 5)
    }

    @Test func `for programs of 32 bits are passed over quietly`() async throws {
        try await Drivers.with { drivers in
            try drivers.write(
                "old.json", #"{"file_format_version":"1.0.1","ICD":{"library_path":"libx.so","library_arch":"32"}}"#)
            let skipped = try await drivers.search().inventory().skipped
            #expect(skipped.map(\.reason) == ["it is for programs of 32 bits"])
            #expect(skipped.first?.weight == .ordinary)
        }
    }
}
