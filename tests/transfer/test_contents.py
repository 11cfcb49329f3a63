"""What a load makes of an archive's table of contents."""

from __future__ import annotations

from transfer.contents import Owners, owners, steps

LIST = """;
; Archive created at 2026-01-01 00:00:00 UTC
;     dbname: one
;
; Selected TOC Entries:
;
6; 2615 16405 SCHEMA - Odd schema.x Odd owner
3440; 0 0 ACL - SCHEMA public pg_database_owner
2; 3079 16407 EXTENSION - pgcrypto
3441; 0 0 COMMENT - EXTENSION pgcrypto
215; 1259 16449 TABLE public users app
3442; 0 0 COMMENT public TABLE users app
3443; 0 0 ACL public TABLE users app
3400; 0 16449 TABLE DATA public users app
3401; 0 16500 MATERIALIZED VIEW DATA public moods app
2200; 826 16501 DEFAULT ACL public DEFAULT PRIVILEGES FOR TABLES app
3300; 6104 16601 PUBLICATION - everything postgres
3301; 6106 16602 PUBLICATION TABLE public everything users postgres
3302; 3466 16603 EVENT TRIGGER - on_ddl postgres
3303; 0 0 COMMENT - EVENT TRIGGER on_ddl postgres
3304; 6100 16604 SUBSCRIPTION - upstream postgres
"""


def numbers(lines: tuple[str, ...]) -> str:
    """By which pg_restore knows the entries."""
    return " ".join(line.split(";")[0] for line in lines)


def test_rights_come_last_and_schemas_first() -> None:
    """A superuser gets everything but a subscription."""
    found = steps(LIST, superuser=True)

    assert [line.split("; ")[0] for line in found.schemas] == ["6"]
    assert [line.split("; ")[0] for line in found.objects] == [
        "2",
        "215",
        "3442",
        "3400",
        "3300",
        "3301",
        "3302",
        "3303",
    ]
    assert [line.split("; ")[0] for line in found.rights] == ["3440", "3443", "3401", "2200"]
    assert found.left_out == ("COMMENT - EXTENSION pgcrypto", "SUBSCRIPTION - upstream postgres")


def test_another_user_makes_what_it_can() -> None:
    """And what is left out is told."""
    found = steps(LIST, superuser=False)

    assert numbers(found.objects) == "2 215 3442 3400"
    assert found.left_out == (
        "COMMENT - EXTENSION pgcrypto",
        "PUBLICATION - everything postgres",
        "PUBLICATION TABLE public everything users postgres",
        "EVENT TRIGGER - on_ddl postgres",
        "COMMENT - EVENT TRIGGER on_ddl postgres",
        "SUBSCRIPTION - upstream postgres",
    )


def test_owners_are_read_whatever_things_are_called() -> None:
    """Names and comments may look like what pg_restore writes."""
    script = """
--
-- Name: Odd schema.x; Type: SCHEMA; Schema: -; Owner: Odd owner
--
-- Name: a; Type: TABLE; Schema: b; Owner: c; Type: TABLE; Schema: public; Owner: app
-- Name: EXTENSION pgcrypto; Type: COMMENT; Schema: -; Owner: -
COMMENT ON TABLE public.users IS 'Type: TABLE; Schema: public; Owner: nobody';
-- Name: DEFAULT PRIVILEGES FOR TABLES; Type: DEFAULT ACL; Schema: public; Owner: outsider
"""
    assert owners(script) == Owners(
        roles=frozenset({"Odd owner", "app", "outsider"}),
        of_schemas=frozenset({"Odd owner"}),
        within=frozenset({("public", "app"), ("public", "outsider")}),
    )
