import JSON
import LeaseModel
import VulkanProbe

// One JSON document: {"devices":[…]} or {"error":"…","no_device":true}. It always says how it went in the
// document, so that any other exit code than 0 is a driver's doing.
do throws(VulkanError) {
    let devices = try VulkanProbe.devices()
    var writer = JSONWriter()
    writer.object { writer in
        writer.key("devices")
        writer.array { writer in
            for device in devices { writer.device(device) }
        }
    }
    print(String(decoding: writer.bytes, as: UTF8.self))
} catch {
    var writer = JSONWriter()
    writer.object { writer in
        writer.member("error", error.description)
        writer.member("no_device", error.meansNoDevice)
    }
    print(String(decoding: writer.bytes, as: UTF8.self))
}
