//! Generates the code of the services' protocol. It needs no installed protoc.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    #[cfg(feature = "grpc")]
    protocol::generate();
}

#[cfg(feature = "grpc")]
mod protocol {
    use std::path::Path;

    const FOLDER: &str = "proto";

    const FILES: [&str; 5] = [
        "mcp_jupyter/v1/model.proto",
        "mcp_jupyter/v1/errors.proto",
        "mcp_jupyter/v1/peer.proto",
        "mcp_jupyter/v1/scheduler.proto",
        "mcp_jupyter/v1/assets.proto",
    ];

    /// Gives code, and the descriptors for whoever asks the services what they offer.
    pub(super) fn generate() {
        println!("cargo::rerun-if-changed={FOLDER}");
        let mut compiler = protox::Compiler::new([FOLDER]).expect("the folder is part of the package");
        compiler.include_imports(true);
        for file in FILES {
            compiler.open_file(file).unwrap_or_else(|error| panic!("{error:?}"));
        }
        let out = std::env::var("OUT_DIR").expect("cargo says where generated files go");
        let descriptors = Path::new(&out).join("mcp_jupyter.v1.bin");
        std::fs::write(descriptors, compiler.encode_file_descriptor_set()).expect("that folder can be written");
        tonic_prost_build::configure()
            .bytes(".mcp_jupyter.v1.CreateRequest")
            .bytes(".mcp_jupyter.v1.GetResponse")
            .compile_fds(compiler.file_descriptor_set())
            .expect("what the compiler has understood can be generated");
    }
}
