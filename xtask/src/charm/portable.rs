//! Whether a program built here starts on every base of the manifest.
//!
//! The oldest base decides: a program that needs a newer libc than it has, or a library that is not
//! part of every installation, would fail there at the first hook. What is needed depends on the
//! machine that builds, so it is looked up in each program and not assumed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use object::Endianness;
use object::elf::{self, DT_NEEDED, SHT_DYNSYM};
use object::read::SymbolIndex;
use object::read::elf::{FileHeader, SectionTable};

/// What Ubuntu 22.04, the oldest base, has.
const GLIBC_MAX: Glibc = Glibc(2, 35);

/// Libraries of every Ubuntu installation; the rest of the name is `.so` and a number.
const LIBRARIES: [&str; 7] =
    ["ld-linux-x86-64", "ld-linux-aarch64", "libc", "libdl", "libgcc_s", "libm", "libpthread"];

/// Symbols named in an error.
const SYMBOLS_SHOWN_MAX: usize = 8;

type Header = elf::FileHeader64<Endianness>;

/// A version of the GNU C library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Glibc(u32, u32);

/// What a program wants from the machine it runs on.
#[derive(Debug, Default)]
struct Needs {
    libraries: Vec<String>,
    /// Version names such as `GLIBC_2.34`, with the symbols that ask for them.
    versions: BTreeMap<String, Vec<String>>,
}

/// Refuses a program that one of the bases could not start; the error names what it needs.
pub(crate) fn check(name: &str, file: &Path) -> Result<()> {
    let data = fs::read(file).with_context(|| format!("no program {}", file.display()))?;
    let needs = needs(&data).with_context(|| format!("{name} is not a program for Linux"))?;
    judge(name, &needs)
}

fn judge(name: &str, needs: &Needs) -> Result<()> {
    let is_common = |library: &str| {
        library.split_once(".so").is_some_and(|(stem, _)| LIBRARIES.contains(&stem))
    };
    if let Some(library) = needs.libraries.iter().find(|library| !is_common(library)) {
        bail!("{name} needs {library}, which a fresh Ubuntu does not have; link it statically");
    }
    for (version, symbols) in &needs.versions {
        if version.starts_with("GLIBC_") && !has(GLIBC_MAX, version) {
            let shown = symbols.iter().take(SYMBOLS_SHOWN_MAX).map(String::as_str);
            bail!(
                "{name} needs {version} ({}), but Ubuntu 22.04 has glibc {}.{}; build on an \
                 older system",
                shown.collect::<Vec<_>>().join(", "),
                GLIBC_MAX.0,
                GLIBC_MAX.1,
            );
        }
    }
    Ok(())
}

/// Whether that C library has what the version name stands for. Names without a number (such as
/// `GLIBC_ABI_DT_RELR`, of 2.36) came after the oldest base, all of them.
fn has(glibc: Glibc, version: &str) -> bool {
    Glibc::parse(version).is_some_and(|needed| needed <= glibc)
}

impl Glibc {
    /// Parses `GLIBC_2.34` and `GLIBC_2.2.5`; the third number never decides.
    fn parse(version: &str) -> Option<Self> {
        let mut numbers = version.strip_prefix("GLIBC_")?.split('.').map(str::parse);
        Some(Self(numbers.next()?.ok()?, numbers.next()?.ok()?))
    }
}

fn needs(data: &[u8]) -> Result<Needs> {
    let header = Header::parse(data)?;
    let endian = header.endian()?;
    let machine = match std::env::consts::ARCH {
        "aarch64" => elf::EM_AARCH64,
        _ => elf::EM_X86_64,
    };
    if header.e_machine(endian) != machine {
        bail!("it is for another kind of machine");
    }
    let sections = header.sections(endian, data)?;
    let mut needs = Needs::default();
    let dynamic = sections.dynamic_table(endian, data)?;
    for entry in dynamic.iter().filter(|entry| entry.tag == DT_NEEDED) {
        needs.libraries.push(text(dynamic.string(entry)?));
    }
    // First every version asked for, since one without a symbol stops the start just the same.
    if let Some((table, link)) = sections.gnu_verneed(endian, data)? {
        let strings = sections.strings(endian, data, link)?;
        for library in table {
            for version in library?.1 {
                needs.versions.entry(text(version?.name(endian, strings)?)).or_default();
            }
        }
    }
    name_symbols(&sections, endian, data, &mut needs)?;
    Ok(needs)
}

fn name_symbols(
    sections: &SectionTable<'_, Header>,
    endian: Endianness,
    data: &[u8],
    needs: &mut Needs,
) -> Result<()> {
    let Some(versions) = sections.versions(endian, data)? else { return Ok(()) };
    let symbols = sections.symbols(endian, data, SHT_DYNSYM)?;
    for index in (0..symbols.len()).map(SymbolIndex) {
        let version = versions.version(versions.version_index(endian, index).index())?;
        if let Some(version) = version {
            let symbol = text(symbols.symbol_name(endian, symbols.symbol(index)?)?);
            needs.versions.entry(text(version.name())).or_default().push(symbol);
        }
    }
    Ok(())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needing(library: &str, version: &str, symbol: &str) -> Needs {
        Needs {
            libraries: vec![library.to_owned()],
            versions: BTreeMap::from([(version.to_owned(), vec![symbol.to_owned()])]),
        }
    }

    #[test]
    fn what_the_oldest_base_has_is_accepted() {
        for version in ["GLIBC_2.2.5", "GLIBC_2.9", "GLIBC_2.35", "GCC_4.2.0"] {
            judge("x", &needing("libc.so.6", version, "read")).unwrap();
        }
        judge("x", &Needs::default()).unwrap();
    }

    #[test]
    fn a_newer_libc_is_refused_with_its_symbols() {
        for version in ["GLIBC_2.36", "GLIBC_2.100", "GLIBC_3.0", "GLIBC_ABI_DT_RELR"] {
            let needs = needing("libc.so.6", version, "arc4random");
            let error = judge("hooks/install", &needs).unwrap_err().to_string();
            assert!(error.starts_with("hooks/install needs"), "{error}");
            assert!(error.contains(version) && error.contains("arc4random"), "{error}");
        }
    }

    #[test]
    fn a_library_that_is_not_everywhere_is_refused() {
        for library in ["libssl.so.3", "libsqlite3.so.0", "libcrypt.so.1"] {
            let error = judge("bin/quorate", &needing(library, "GLIBC_2.34", "x")).unwrap_err();
            assert!(error.to_string().contains(library), "{error}");
        }
    }

    #[test]
    fn this_very_program_is_understood() {
        let own = fs::read(std::env::current_exe().unwrap()).unwrap();
        let needs = needs(&own).unwrap();
        assert!(needs.libraries.iter().any(|library| library.starts_with("libc.so")), "{needs:?}");
        let (version, symbols) = needs.versions.iter().next_back().unwrap();
        assert!(version.starts_with("GLIBC_"), "{needs:?}");
        assert!(!symbols.is_empty(), "{needs:?}");
    }

    #[test]
    fn a_text_file_is_not_a_program() {
        let place = tempfile::tempdir().unwrap();
        let script = place.path().join("install");
        fs::write(&script, "#!/bin/sh\n".repeat(20)).unwrap();
        let error = check("hooks/install", &script).unwrap_err();
        assert!(error.to_string().contains("hooks/install is not a program"), "{error:#}");
    }
}
