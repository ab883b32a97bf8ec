import EventLoop
import Foundation
import LeaseModel
import Telemetry
import TestSupport

@testable import Agent

extension HostID {
    /// A host that every test may name.
    static func test(_ name: String) -> HostID {
        do throws(InvalidName) {
            return try HostID(name)
        } catch {
            preconditionFailure(error.description)
        }
    }
}

/// A directory with drivers of our making and the kernel's view of our making.
final class Drivers: Sendable {
    let directory: String
    private let loop: EventLoop

    static func with(_ body: @Sendable (Drivers) async throws -> Void) async throws {
        try await withLoop { loop in
            let directory = NSTemporaryDirectory() + "drivers-\(UUID().uuidString.prefix(8))"
            try FileManager.default.createDirectory(atPath: directory + "/cards", withIntermediateDirectories: true)
            defer { try? FileManager.default.removeItem(atPath: directory) }
            try await body(Drivers(directory: directory, loop: loop))
        }
    }

    private init(directory: String, loop: EventLoop) {
        self.directory = directory
        self.loop = loop
    }

    func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: "\(directory)/\(name)"))
    }

    func read(_ name: String) -> String { (try? String(contentsOfFile: "\(directory)/\(name)", encoding: .utf8)) ?? "" }

    /// A manifest for a library, which need not exist.
    func manifest(_ name: String, library: String) throws {
        try write(
            "\(name).json",
            #"{"file_format_version":"1.0.0","ICD":{"library_path":"\#(library)","api_version":"1.1.0"}}"#)
    }

    /// A driver that does `body` as soon as the loader asks it for a function.
    func driver(_ name: String, doing body: String) async throws {
        try write(
            "\(name).c",
            """
            #include <stdio.h>
            #include <stdlib.h>
            #include <unistd.h>
            void *vk_icdGetInstanceProcAddr(void *instance, const char *name) { \(body) return 0; }
            """)
        let command = ChildCommand([
            "cc", "-shared", "-fPIC", "-o", "\(directory)/\(name).so", "\(directory)/\(name).c",
        ])
        let result = try await ChildProcess.run(command, deadline: .seconds(60), on: loop)
        guard result.exit == .exited(0) else {
            throw DeviceSearchError(description: String(decoding: result.errorOutput, as: UTF8.self))
        }
        try manifest(name, library: "\(directory)/\(name).so")
    }

    /// A driver that the stand-in for the probe answers for, and counts in `NAME.asked`.
    func answer(_ name: String, _ document: String) throws {
        try write("\(name).answer", document)
        try manifest(name, library: "lib\(name).so")
    }

    /// A probe that loads nothing: it writes what `answer` was told.
    func standInProbe() throws -> String {
        try write(
            "probe",
            """
            #!/bin/sh
            echo asked >> "${VK_DRIVER_FILES%.json}.asked"
            cat "${VK_DRIVER_FILES%.json}.answer"
            """)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: directory + "/probe")
        return directory + "/probe"
    }

    func timesAsked(_ name: String) -> Int { read("\(name).asked").split(separator: "\n").count }

    /// A PCI device as the kernel shows it.
    func card(_ address: String, status: String, kind: String = "0x030000", vendor: String = "0x10de") throws {
        let path = "\(directory)/cards/\(address)"
        try FileManager.default.createDirectory(atPath: path + "/power", withIntermediateDirectories: true)
        try write("cards/\(address)/class", kind + "\n")
        try write("cards/\(address)/vendor", vendor + "\n")
        try write("cards/\(address)/power/runtime_status", status + "\n")
    }

    /// A search among the drivers of this directory only. Without `probe` it is the real one, beside the tests.
    func search(probe: String? = nil, deadline: Duration = .seconds(30), log: Log = .silent) -> DeviceSearch {
        var environment = Environment.all
        environment["VK_DRIVER_FILES"] = directory
        var settings = DeviceSearchSettings(environment: environment)
        settings.options.probe = probe
        settings.options.probeDeadline = deadline
        settings.cards = directory + "/cards"
        settings.numbersPath = directory + "/devices"
        return DeviceSearch(settings: settings, loop: loop, log: log)
    }
}
