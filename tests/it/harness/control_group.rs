//! A control group that ends a process when it has more memory than it may.

use std::fs;
use std::path::{Path, PathBuf};

/// A group of its own below that of the tests; removed when it is dropped, behind the processes in it.
#[derive(Debug)]
pub(crate) struct ControlGroup {
    directory: PathBuf,
}

impl ControlGroup {
    /// A group with so many bytes of memory: of processes, of files that they write, and of the kernel's
    /// buffers for their sockets. `None` where the machine lets nobody make one.
    pub(crate) fn with_memory(bytes: u64) -> Option<Self> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        groups.lines().find_map(|line| Self::below(line, bytes))
    }

    /// The same below the group that a line of `/proc/self/cgroup` names: `0::PATH` of the second version,
    /// `N:memory:PATH` of the first one.
    fn below(line: &str, bytes: u64) -> Option<Self> {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let (mount, limit) = match controllers {
            "" => ("/sys/fs/cgroup", "memory.max"),
            "memory" => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            _ => return None,
        };
        let parent = Path::new(mount).join(path.trim_start_matches('/'));
        let directory = parent.join(format!("mecha-{}", std::process::id()));
        fs::create_dir(&directory).ok()?;
        let group = Self { directory };
        let limit = group.directory.join(limit);
        // A directory of files of its own has none of this name, nor has a group without the controller.
        let is_limited = limit.exists() && fs::write(&limit, bytes.to_string()).is_ok();
        is_limited.then_some(group)
    }

    /// What a shell does to be in it.
    pub(crate) fn join(&self) -> String {
        let list = self.directory.join("cgroup.procs");
        format!("echo $$ > {}", list.display())
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.directory);
    }
}
