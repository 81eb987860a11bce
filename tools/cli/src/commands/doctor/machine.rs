//! What the operating system says of this machine: everything on Linux, elsewhere less.

use std::fs;
#[cfg(feature = "hub")]
use std::path::Path;

use lanerank::kernels::{Isa, Kernels};
use serde::Serialize;

/// Linux's names of the features that tiers need.
const AVX2: &[&str] = &["avx2", "fma", "f16c"];
const AVX_VNNI: &[&str] = &["avx2", "fma", "f16c", "avx_vnni"];
const AVX512_VNNI: &[&str] = &[
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx512dq",
    "avx512vl",
    "avx512_vnni",
];
const AMX_INT8: &[&str] = &[
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx512dq",
    "avx512vl",
    "avx512_vnni",
    "amx_tile",
    "amx_int8",
];
const NEON: &[&str] = &["asimd"];
const NEON_DOTPROD: &[&str] = &["asimd", "asimddp"];
const NEON_I8MM: &[&str] = &["asimd", "asimddp", "i8mm"];
/// Entries of a folder that are counted at most.
#[cfg(feature = "hub")]
const MOST_ENTRIES: u64 = 100_000;

/// This machine.
#[derive(Serialize)]
pub(super) struct Machine {
    pub system: String,
    pub cpu: Option<String>,
    /// The flags among those that tiers need; `None` if the system does not say.
    pub flags: Option<Vec<&'static str>>,
    pub usable_cpus: usize,
    pub all_cpus: Option<usize>,
    pub memory_bytes: Option<u64>,
    pub available_bytes: Option<u64>,
    /// Of the control group, such as a container.
    pub limit_bytes: Option<u64>,
}

/// Whether a tier runs here.
#[derive(Serialize)]
pub(super) struct Tier {
    pub name: &'static str,
    pub runs: bool,
    /// Why it does not run.
    pub reason: Option<String>,
}

impl Tier {
    /// The answer in words.
    pub(super) fn explained(&self) -> String {
        match (&self.reason, self.runs) {
            (Some(reason), _) => format!("no: {reason}"),
            (None, true) => "runs".into(),
            (None, false) => "no".into(),
        }
    }
}

impl Machine {
    /// Asks the system.
    pub(super) fn of_this() -> Machine {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let release = read("/proc/sys/kernel/osrelease");
        let system = [std::env::consts::OS, release.trim(), std::env::consts::ARCH];
        Machine {
            system: system
                .iter()
                .filter(|part| !part.is_empty())
                .copied()
                .collect::<Vec<_>>()
                .join(" "),
            usable_cpus: std::thread::available_parallelism().map_or(1, usize::from),
            ..Machine::parse(
                &read("/proc/cpuinfo"),
                &read("/proc/meminfo"),
                &read("/sys/fs/cgroup/memory.max"),
            )
        }
    }

    fn parse(cpuinfo: &str, meminfo: &str, limit: &str) -> Machine {
        let value = |name: &str| {
            let mut fields = cpuinfo.lines().filter_map(|line| line.split_once(':'));
            fields
                .find(|(field, _)| field.trim() == name)
                .map(|(_, value)| value.trim())
        };
        let kibibytes = |name: &str| -> Option<u64> {
            let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
            let count: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            count.checked_mul(1024)
        };
        // x86-64's name, or aarch64's.
        let flags = value("flags").or(value("Features")).map(|flags| {
            let has = |flag: &&&str| flags.split_whitespace().any(|has| has == **flag);
            AMX_INT8
                .iter()
                .chain(&["avx_vnni"])
                .chain(NEON_I8MM)
                .filter(has)
                .copied()
                .collect()
        });
        let is_cpu = |line: &&str| {
            line.split(':')
                .next()
                .is_some_and(|f| f.trim() == "processor")
        };
        let cpus = cpuinfo.lines().filter(is_cpu).count();
        Machine {
            system: String::new(),
            cpu: value("model name").map(str::to_owned),
            flags,
            usable_cpus: 0,
            all_cpus: (cpus > 0).then_some(cpus),
            memory_bytes: kibibytes("MemTotal:"),
            available_bytes: kibibytes("MemAvailable:"),
            limit_bytes: limit.trim().parse().ok(),
        }
    }

    /// The CPUs in words.
    pub(super) fn cpus(&self) -> String {
        match self.all_cpus {
            Some(all) => format!("{} usable of {all}", self.usable_cpus),
            None => format!("{} usable", self.usable_cpus),
        }
    }

    /// The memory in words; empty if nothing is known.
    pub(super) fn memory(&self) -> String {
        let parts = [
            (self.memory_bytes, ""),
            (self.available_bytes, " available"),
            (self.limit_bytes, " limit of the control group"),
        ];
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        let known = parts
            .iter()
            .filter_map(|(bytes, what)| Some(format!("{:.1} GiB{what}", gib((*bytes)?))));
        known.collect::<Vec<_>>().join(", ")
    }

    /// All tiers, slowest first, and why some do not run.
    pub(super) fn tiers(&self) -> Vec<Tier> {
        let tier = |isa: Isa| {
            let runs = Kernels::for_isa(isa).is_ok();
            Tier {
                name: isa.name(),
                runs,
                reason: (!runs).then(|| self.reason(isa)),
            }
        };
        Isa::ALL.into_iter().map(tier).collect()
    }

    /// Why a tier does not run here.
    fn reason(&self, isa: Isa) -> String {
        let needed = match isa {
            Isa::Avx2 => AVX2,
            Isa::AvxVnni => AVX_VNNI,
            Isa::Avx512Vnni => AVX512_VNNI,
            Isa::AmxInt8 => AMX_INT8,
            Isa::Neon => NEON,
            Isa::NeonDotprod => NEON_DOTPROD,
            Isa::NeonI8mm => NEON_I8MM,
            _ => &[],
        };
        let target = match isa {
            Isa::Neon | Isa::NeonDotprod | Isa::NeonI8mm => "aarch64",
            _ => "x86_64",
        };
        if target != std::env::consts::ARCH {
            return format!("it is for {target}");
        }
        let Some(flags) = &self.flags else {
            return format!("it needs {}", needed.join(", "));
        };
        let missing: Vec<&str> = needed
            .iter()
            .filter(|flag| !flags.contains(flag))
            .copied()
            .collect();
        match missing[..] {
            [] => "the CPU has what it needs, the system does not permit it".into(),
            _ => format!("the CPU lacks {}", missing.join(", ")),
        }
    }
}

/// Bytes and number of the files in a folder and its subfolders. Follows no links.
#[cfg(feature = "hub")]
pub(super) fn size_of(folder: &Path) -> (u64, u64) {
    let (mut bytes, mut files, mut entries) = (0u64, 0, 0);
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            entries += 1;
            if entries > MOST_ENTRIES {
                return (bytes, files);
            }
            match entry.metadata() {
                Ok(about) if about.is_dir() => folders.push(entry.path()),
                Ok(about) if about.is_file() => {
                    bytes = bytes.saturating_add(about.len());
                    files += 1;
                }
                _ => {}
            }
        }
    }
    (bytes, files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_files_are_read() {
        let cpuinfo = "processor\t: 0\nmodel name\t: A CPU\nflags\t\t: fpu avx2 fma f16c avx_vnni\n\
                       processor\t: 1\nmodel name\t: A CPU\n";
        let meminfo = "MemTotal:       2097152 kB\nMemFree: 1 kB\nMemAvailable:    1048576 kB\n";
        let machine = Machine::parse(cpuinfo, meminfo, "536870912\n");
        assert_eq!(machine.cpu.as_deref(), Some("A CPU"));
        assert_eq!(machine.all_cpus, Some(2));
        let expected = "2.0 GiB, 1.0 GiB available, 0.5 GiB limit of the control group";
        assert_eq!(machine.memory(), expected);
        if cfg!(target_arch = "x86_64") {
            let reason = machine.reason(Isa::Avx512Vnni);
            assert!(
                reason.starts_with("the CPU lacks avx512f, avx512bw"),
                "{reason}"
            );
            let reason = machine.reason(Isa::AvxVnni);
            assert!(reason.contains("does not permit it"), "{reason}");
        }
    }

    #[test]
    fn missing_and_odd_files_give_missing_facts() {
        for (cpuinfo, meminfo, limit) in [
            ("", "", ""),
            ("flags", "MemTotal: x kB", "max"),
            (
                ":::\n",
                "MemTotal:\nMemAvailable: 99999999999999999999 kB",
                "-1",
            ),
        ] {
            let machine = Machine::parse(cpuinfo, meminfo, limit);
            assert_eq!(machine.memory(), "");
            assert!(machine.cpu.is_none() && machine.flags.is_none());
        }
    }

    #[cfg(feature = "hub")]
    #[test]
    fn folders_are_measured() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("a"), [0; 10]).unwrap();
        fs::write(folder.path().join("sub/b"), [0; 5]).unwrap();
        assert_eq!(size_of(folder.path()), (15, 2));
        assert_eq!(size_of(&folder.path().join("none")), (0, 0));
    }
}
