@echo off
rem Sets up what is missing and opens camviewer.
setlocal
cd /d "%~dp0.."
if not exist .venv\Scripts\python.exe (
    for %%v in (3.13 3.12 3.11) do (
        if not exist .venv\Scripts\python.exe py -%%v -m venv .venv 2>nul
    )
)
if not exist .venv\Scripts\python.exe (
    echo Python 3.11 to 3.13 is missing. Install it from python.org, then start this again.
    pause
    exit /b 1
)
.venv\Scripts\python.exe -c "import camviewer, torch, PySide6" 2>nul
if errorlevel 1 (
    echo Installing camviewer. The first time this takes a few minutes.
    .venv\Scripts\python.exe -m pip install --quiet -c constraints.txt -e . || (pause & exit /b 1)
)
.venv\Scripts\python.exe main.py %*
