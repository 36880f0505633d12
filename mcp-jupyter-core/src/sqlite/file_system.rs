//! Whether a file is on a file system that several machines may have mounted.

use std::path::Path;

/// What `statfs` says of file systems whose files may be changed from elsewhere, as in `linux/magic.h`. FUSE is among them
/// because sshfs and the mounted folders of virtual machines are.
#[cfg(target_os = "linux")]
const REMOTE: [u32; 9] = [
    0x6969,      // NFS
    0x517B,      // SMB
    0xFE53_4D42, // SMB2
    0xFF53_4D42, // CIFS
    0x0102_1997, // 9P
    0x6573_5546, // FUSE
    0x5346_414F, // AFS
    0x00C3_6400, // Ceph
    0x0BD0_0BD0, // Lustre
];

/// Whether the file is on a network file system; not where that cannot be found out.
#[cfg(target_os = "linux")]
pub(super) fn is_remote(path: &Path) -> bool {
    let found = rustix::fs::statfs(path);
    found.is_ok_and(|found| is_remote_type(found.f_type.into()))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn is_remote(_: &Path) -> bool {
    false
}

/// The type is of 32 bits, in a number whose width and sign depend on the machine.
#[cfg(target_os = "linux")]
fn is_remote_type(number: i128) -> bool {
    REMOTE.iter().any(|remote| i128::from(*remote) == number & 0xFFFF_FFFF)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_their_type() {
        for remote in [0x6969, 0x517B, 0xFE53_4D42, 0xFF53_4D42, 0x0102_1997, 0x6573_5546] {
            assert!(is_remote_type(remote), "{remote:#x}");
        }
        for remote in [0x5346_414F, 0x00C3_6400, 0x0BD0_0BD0] {
            assert!(is_remote_type(remote), "{remote:#x}");
        }
        // ext4, tmpfs, btrfs, xfs, overlayfs, zfs.
        for local in [0xEF53, 0x0102_1994, 0x9123_683E, 0x5846_5342, 0x794C_7630, 0x2FC1_2FC1] {
            assert!(!is_remote_type(local), "{local:#x}");
        }
    }

    #[test]
    fn a_type_may_have_come_as_a_negative_number() {
        assert!(is_remote_type(i128::from(0xFF53_4D42_u32.cast_signed())));
        assert!(is_remote_type(i128::from(0xFE53_4D42_u32.cast_signed())));
        assert!(!is_remote_type(i128::from(0x9123_683E_u32.cast_signed())));
    }

    #[test]
    fn what_is_not_there_is_not_remote() {
        assert!(!is_remote(Path::new("/proc/self/status")));
        assert!(!is_remote(Path::new("/no such folder/file")));
    }
}
