import Testing

@testable import Coordinator

@Suite struct `Variables for a lease's device` {
    private func variables(_ details: String) -> [String] {
        DeviceEnvironment.variables(details: details).map { "\($0.0)=\($0.1)" }
    }

    @Test func `an NVIDIA card is named to CUDA by its UUID and hidden from the others`() {
        #expect(
            variables(
                #"{"vendor_id":4318,"device_id":9857,"uuid":"00112233445566778899aabbccddeeff","pci":"0000:01:00.0"}"#)
                == [
                    "CUDA_DEVICE_ORDER=PCI_BUS_ID", "CUDA_VISIBLE_DEVICES=GPU-00112233-4455-6677-8899-aabbccddeeff",
                    "HIP_VISIBLE_DEVICES=-1", "MESA_VK_DEVICE_SELECT=10de:2681!",
                    "NVIDIA_VISIBLE_DEVICES=GPU-00112233-4455-6677-8899-aabbccddeeff", "ROCR_VISIBLE_DEVICES=",
                    "VK_LOADER_DEVICE_ID_FILTER=0x2681", "VK_LOADER_VENDOR_ID_FILTER=0x10de",
                ])
    }

    @Test func `an AMD card is named to Mesa by its place and hidden from CUDA`() {
        #expect(
            variables(#"{"vendor_id":4098,"device_id":29772,"uuid":"00","pci":"0000:03:00.0"}"#) == [
                "CUDA_VISIBLE_DEVICES=", "DRI_PRIME=pci-0000_03_00_0!", "MESA_VK_DEVICE_SELECT=1002:744c!",
                "NVIDIA_VISIBLE_DEVICES=void", "VK_LOADER_DEVICE_ID_FILTER=0x744c",
                "VK_LOADER_VENDOR_ID_FILTER=0x1002",
            ])
    }

    @Test func `several devices are all named, by what can name several, and nothing hides one of them`() {
        func joined(_ details: String...) -> [String] {
            DeviceEnvironment.joined(details.map { DeviceEnvironment.variables(details: $0) }).map { "\($0.0)=\($0.1)" }
        }
        let first =
            #"{"vendor_id":4318,"device_id":9857,"uuid":"00112233445566778899aabbccddeeff","pci":"0000:01:00.0"}"#
        let second =
            #"{"vendor_id":4318,"device_id":9858,"uuid":"10112233445566778899aabbccddeeff","pci":"0000:02:00.0"}"#
        let other = #"{"vendor_id":4098,"device_id":29772,"uuid":"00","pci":"0000:03:00.0"}"#
        let names = "GPU-00112233-4455-6677-8899-aabbccddeeff,GPU-10112233-4455-6677-8899-aabbccddeeff"
        #expect(
            joined(first, second) == [
                "CUDA_DEVICE_ORDER=PCI_BUS_ID", "CUDA_VISIBLE_DEVICES=\(names)", "HIP_VISIBLE_DEVICES=-1",
                "NVIDIA_VISIBLE_DEVICES=\(names)", "ROCR_VISIBLE_DEVICES=", "VK_LOADER_DEVICE_ID_FILTER=0x2681,0x2682",
                "VK_LOADER_VENDOR_ID_FILTER=0x10de",
            ])
        #expect(
            joined(first, other) == [
                "CUDA_VISIBLE_DEVICES=GPU-00112233-4455-6677-8899-aabbccddeeff",
                "NVIDIA_VISIBLE_DEVICES=GPU-00112233-4455-6677-8899-aabbccddeeff",
                "VK_LOADER_DEVICE_ID_FILTER=0x2681,0x744c", "VK_LOADER_VENDOR_ID_FILTER=0x10de,0x1002",
            ])
        #expect(joined(first, "{}") == [])
    }

    @Test func `what is not known is not set`() {
        #expect(variables("") == [] && variables("{}") == [] && variables("[") == [])
        #expect(variables(#"{"vendor_id":4318,"simulated":true}"#) == [])
        #expect(
            variables(#"{"vendor_id":4318,"uuid":"short"}"#) == ["HIP_VISIBLE_DEVICES=-1", "ROCR_VISIBLE_DEVICES="])
    }
}
